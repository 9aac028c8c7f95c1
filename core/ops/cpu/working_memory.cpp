// What operations need beside their tensors: on CPU ranks here, on GPUs in cuda_working_memory.h.
#include "core/ops/working_memory.h"

#include "core/ops/cpu/column_sums.h"
#include "core/ops/cpu/cpu_ops.h"

namespace weft {
namespace {

class CpuWorkingMemory final : public WorkingMemory {
 public:
  CpuWorkingMemory(int threads, std::shared_ptr<detail::DnnlProducts> native)
      : threads_(threads), native_(std::move(native)) {}

  size_t always() override { return 0; }
  size_t logits() override { return size_t{64} << 20; }
  size_t bytes(const op::Matmul& args) override {
    return detail::matmul_bytes(args, threads_, native_.get());
  }
  size_t bytes(const op::NormBackward& args) override {
    const int64_t columns = args.x.shape().back();
    const int64_t width = args.dbias.empty() ? columns : 2 * columns;
    return static_cast<size_t>(detail::partial_sums(args.x.shape().rows(), width)) *
           size_of(args.dweight.dtype());
  }
  size_t bytes(const op::AttentionForward& args) override {
    return detail::attention_bytes(args, threads_);
  }
  size_t bytes(const op::AttentionBackward& args) override {
    return detail::attention_bytes(args, threads_);
  }
  size_t bytes(const op::AttentionDecode& args) override {
    return detail::attention_bytes(args, threads_);
  }

 private:
  int threads_;
  std::shared_ptr<detail::DnnlProducts> native_;
};

}  // namespace

std::unique_ptr<WorkingMemory> make_cpu_working_memory(
    int threads, std::shared_ptr<detail::DnnlProducts> native) {
  return std::make_unique<CpuWorkingMemory>(threads, std::move(native));
}

}  // namespace weft
