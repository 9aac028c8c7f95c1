// CudaOps: the operations of ops.h on a GPU: kernels of ours, cuBLASLt and cuDNN. Work is enqueued;
// nothing waits for the GPU.
//
// f64 is for gradient checks, which the CPU does: tensors of T are f32, bf16 or f16. Sums whose
// order ops.h leaves to the backend have one that the shape fixes.
//
// The working memory is shared by all calls: the ops that use it (matmul, attention backward, and
// the gradients of bias and norm) must all run on one stream. It grows on first use only.
#pragma once

#include <memory>

#include "core/device/cuda/cuda_device.h"
#include "core/ops/cuda/cuda_libraries.h"
#include "core/ops/cuda/cudnn_attention.h"
#include "core/ops/cuda/gemm.h"
#include "core/ops/cuda/working_memory.h"
#include "core/ops/ops.h"

namespace weft {

// Grow-only GPU memory. A call invalidates what the call before returned.
class CudaScratch {
 public:
  explicit CudaScratch(CudaDevice& device) : device_(device) {}
  template <typename T>
  T* get(int64_t count) {
    const size_t bytes = in_working_memory_units(static_cast<size_t>(count) * sizeof(T));
    if (buffer_ == nullptr || bytes > buffer_->bytes()) {
      buffer_.reset();
      buffer_ = device_.allocate(bytes);
    }
    return static_cast<T*>(buffer_->data());
  }
  size_t bytes() const { return buffer_ == nullptr ? 0 : buffer_->bytes(); }

 private:
  CudaDevice& device_;
  std::unique_ptr<Buffer> buffer_;
};

// What the rule says, but for cuDNN, which is asked where it can be.
class MeasuredWorkingMemory final : public CudaWorkingMemory {
 public:
  // `cudnn` may be null: there is none.
  MeasuredWorkingMemory(CudnnAttention* cudnn, bool deterministic)
      : CudaWorkingMemory(deterministic), cudnn_(cudnn) {}
  int64_t cudnn_bytes(const AttentionProblem& problem, DType dtype, bool backward) override;

 private:
  CudnnAttention* cudnn_;
};

class CudaOps final : public Ops {
 public:
  explicit CudaOps(CudaDevice& device);
  ~CudaOps() override;

  WorkingMemory& working_memory() override { return needs_; }
  void reserve(size_t bytes) override;
  size_t reserved() const override { return kGemmWorkspace + scratch_.bytes(); }

 private:
  void run(const op::Matmul& args, Stream& stream) override;
  void run(const op::AttentionForward& args, Stream& stream) override;
  void run(const op::AttentionBackward& args, Stream& stream) override;
  void run(const op::AttentionDecode& args, Stream& stream) override;
  void run(const op::NormForward& args, Stream& stream) override;
  void run(const op::NormBackward& args, Stream& stream) override;
  void run(const op::EmbeddingForward& args, Stream& stream) override;
  void run(const op::EmbeddingBackward& args, Stream& stream) override;
  void run(const op::SoftmaxStats& args, Stream& stream) override;
  void run(const op::RescaleSums& args, Stream& stream) override;
  void run(const op::CrossEntropyLoss& args, Stream& stream) override;
  void run(const op::CrossEntropyBackward& args, Stream& stream) override;
  void run(const op::Dropout& args, Stream& stream) override;
  void run(const op::Add& args, Stream& stream) override;
  void run(const op::Fill& args, Stream& stream) override;
  void run(const op::Copy& args, Stream& stream) override;
  void run(const op::CopyLastColumns& args, Stream& stream) override;
  void run(const op::CopyStochastic& args, Stream& stream) override;
  void run(const op::AdamW& args, Stream& stream) override;
  void run(const op::Momentum& args, Stream& stream) override;
  void run(const op::Descend& args, Stream& stream) override;
  void run(const op::Normalize& args, Stream& stream) override;
  void run(const op::Polynomial& args, Stream& stream) override;
  void run(const op::SumSquares& args, Stream& stream) override;
  void run(const op::ClipFactor& args, Stream& stream) override;
  void run(const op::DecideUpdate& args, Stream& stream) override;

  void finish_apart(const op::Matmul& args, GemmTask task, Stream& stream);
  void with_bias_gradient(const op::Matmul& args, GemmTask task, Stream& stream);

  // cuDNN's working memory for this call, or null where our own kernels compute it.
  void* cudnn_workspace(const AttentionProblem& problem, DType dtype, bool backward);

  CudaDevice& device_;
  Gemm gemm_;
  std::unique_ptr<CudnnAttention> cudnn_;  // null where it cannot be had
  MeasuredWorkingMemory needs_;
  CudaScratch scratch_;
};

namespace detail {

// The elements, or null for an absent tensor.
inline void* raw_or_null(const Tensor& t) { return t.empty() ? nullptr : t.raw(); }
template <typename T>
T* data_or_null(const Tensor& t) {
  return t.empty() ? nullptr : t.data<T>();
}

}  // namespace detail

std::unique_ptr<Ops> make_cuda_ops(Device& device);
std::vector<CudaLibrary> report_cuda_libraries();

}  // namespace weft
