// What the operations of a GPU need beside their tensors, by rule: this compiles in every build, so
// that runs on GPUs can be planned without one.
#pragma once

#include "core/ops/attention_problem.h"
#include "core/ops/ops.h"

namespace weft {

// Of cuBLASLt, what NVIDIA recommends for Hopper.
constexpr size_t kGemmWorkspace = size_t{32} << 20;
// More than this, as cuDNN's deterministic gradient of long sequences wants, and our own attention
// kernels, which need next to none, are the better choice.
constexpr int64_t kMostAttentionWorkspace = int64_t{2} << 30;
// Products in f32 that wait for an epilogue of our own.
constexpr int64_t kMostUnfinishedProducts = int64_t{64} << 20;

// Whether an epilogue of cuBLASLt does all that `args` ask for beyond the product. GELU's of
// cuBLASLt is the tanh form, of the accuracy of 16-bit results.
bool has_cublas_epilogue(const op::Matmul& args);
// Rows of products that one block of an epilogue of our own holds.
int64_t unfinished_rows(const op::Matmul& args);
// The call as kernels see it.
AttentionProblem attention_problem(const AttentionSpec& spec, const Tensor& qkv, const Tensor& kv);

class CudaWorkingMemory : public WorkingMemory {
 public:
  explicit CudaWorkingMemory(bool deterministic) : deterministic_(deterministic) {}

  size_t always() override { return kGemmWorkspace; }
  // The gradient of the table is read and written once for each chunk.
  size_t logits() override { return size_t{512} << 20; }
  size_t bytes(const op::Matmul& args) override;
  size_t bytes(const op::NormBackward& args) override;
  size_t bytes(const op::AttentionForward& args) override;
  size_t bytes(const op::AttentionBackward& args) override;
  size_t bytes(const op::AttentionDecode&) override { return 0; }

  // Bytes that cuDNN wants for the call, or -1 where our own kernels compute it. By rule: its
  // deterministic gradient keeps a matrix of queries by keys per head in the storage type, the
  // other one the queries' gradient in f32, and both two sums per query in f32; forward keeps
  // nothing.
  virtual int64_t cudnn_bytes(const AttentionProblem& problem, DType dtype, bool backward);

 private:
  bool deterministic_;
};

}  // namespace weft
