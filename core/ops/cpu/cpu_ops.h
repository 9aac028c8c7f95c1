// CpuOps: the operations of ops.h on host memory, the reference that every other backend is held
// to. Each run() is defined in the file of its op.
//
// Every run() enqueues a task that carries plain pointers and sizes (see InlineTask). Ops that
// combine across rows (bias and norm gradients) cut the rows into blocks whose size depends on the
// shape alone, so results do not depend on the thread count.
//
// The scratch memory is shared by all calls: the ops that use it (matmul, attention, and the
// gradients of bias and norm) must all run on one stream. The elementwise ops use none and may run
// on any.
#pragma once

#include "core/device/cpu/cpu_device.h"
#include "core/kernels/storage.h"
#include "core/ops/cpu/scratch.h"
#include "core/ops/ops.h"

namespace weft {

namespace detail {
class DnnlProducts;
}

// `native` multiplies matrices of its type; null for none. It must be for one rank alone.
std::unique_ptr<WorkingMemory> make_cpu_working_memory(
    int threads, std::shared_ptr<detail::DnnlProducts> native);

class CpuOps final : public Ops {
 public:
  // For streams of `threads` threads. `native` multiplies matrices of its type; null for none.
  CpuOps(int threads, std::shared_ptr<detail::DnnlProducts> native)
      : native_(std::move(native)), needs_(make_cpu_working_memory(threads, native_)) {}

  WorkingMemory& working_memory() override { return *needs_; }
  void reserve(size_t bytes) override { scratch_.get<char>(static_cast<int64_t>(bytes)); }
  size_t reserved() const override { return scratch_.bytes(); }

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

  std::shared_ptr<detail::DnnlProducts> native_;
  std::unique_ptr<WorkingMemory> needs_;
  Scratch scratch_;
  Scratch packing_;  // of products in f64
};

namespace detail {

// Working memory of single operations, in bytes.
size_t matmul_bytes(const op::Matmul& args, int threads, DnnlProducts* native);
size_t attention_bytes(const op::AttentionForward& args, int threads);
size_t attention_bytes(const op::AttentionBackward& args, int threads);
size_t attention_bytes(const op::AttentionDecode& args, int threads);

// Calls f with a value of the type that stores `dtype`, one of the floating-point types.
template <typename F>
void with_float(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f64:
      return f(double{});
    case DType::bf16:
      return f(Bf16{});
    case DType::f16:
      return f(F16{});
    default:
      return f(float{});
  }
}

// Calls f with a value of the type that stores `dtype`, whichever it is.
template <typename F>
void with_any(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::bf16:
      return f(Bf16{});
    case DType::f16:
      return f(F16{});
    case DType::i32:
      return f(int32_t{});
    case DType::i64:
      return f(int64_t{});
    case DType::u8:
      return f(uint8_t{});
    case DType::u16:
      return f(uint16_t{});
  }
}

// The elements, or null for an absent tensor.
template <typename T>
T* optional_data(const Tensor& t) {
  return t.empty() ? nullptr : t.data<T>();
}

}  // namespace detail

}  // namespace weft
