// Gemm: matrix products by cuBLASLt, with descriptors made once per kind of product and algorithms
// from a cache, from measurements, or else from cuBLASLt's own rule.
#pragma once

#include <cuda_runtime_api.h>

#include <map>
#include <memory>

#include "core/device/cuda/cuda_device.h"
#include "core/ops/cuda/cublaslt.h"
#include "core/ops/cuda/gemm_cache.h"

namespace weft {

// c (+)= epilogue(op(a) op(b)) of row-major matrices: c is [m,n], op(a) [m,k], op(b) [k,n].
struct GemmTask {
  int64_t m = 0, n = 0, k = 0;
  int64_t a_width = 0, c_width = 0;  // of rows in memory
  const void *a = nullptr, *b = nullptr;
  void* c = nullptr;
  DType type = DType::bf16, c_type = DType::bf16;
  bool transpose_a = false, transpose_b = false, accumulate = false;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  // [n] of c_type, with an epilogue that adds one; [m] of c_type, written, with BGRADB, which sums
  // op(a) over k.
  void* bias = nullptr;
  void* aux = nullptr;  // [m,n] of c_type, with an epilogue that reads or writes one
};

// The kind of product that cuBLASLt sees: it counts columns first, so that our c is its transpose,
// made from b and a in that order.
GemmKey key_of(const GemmTask& task);

// All products of one Gemm must run on one stream: they share a workspace.
class Gemm {
 public:
  // `cache_folder` may be empty. With `measure`, products without a choice in the cache are timed
  // when they are first asked for, and the choice saved; without, they follow cuBLASLt's first
  // proposal, which is the same for the same GPU and version.
  Gemm(CudaDevice& device, const std::string& cache_folder, bool measure);
  ~Gemm();

  // Whether cuBLASLt has an algorithm for it.
  bool serves(const GemmTask& task, CudaStream& stream);
  // Enqueues a product that it serves.
  void run(const GemmTask& task, CudaStream& stream);

 private:
  struct Plan;
  using Algorithm = cublasLtMatmulAlgo_t;

  Plan& plan(const GemmTask& task, CudaStream& stream);
  void describe(const GemmKey& key, const GemmTask& task, Plan& plan);
  void set_pointers(const GemmTask& task, const Plan& plan);
  bool take_from_cache(const GemmKey& key, Plan& plan);
  void choose(const GemmKey& key, const GemmTask& task, CudaStream& stream, Plan& plan);
  double time(const GemmTask& task, const Plan& plan, const Algorithm& algorithm, void* c,
              CudaStream& stream);
  void enqueue(const GemmTask& task, const Plan& plan, const Algorithm& algorithm, void* c,
               CudaStream& stream);

  CudaDevice& device_;
  CublasLt lt_;
  cublasLtHandle_t handle_ = nullptr;
  std::unique_ptr<Buffer> workspace_;
  bool measure_;
  std::unique_ptr<GemmCache> cache_;
  std::map<GemmKey, std::unique_ptr<Plan>> plans_;
};

}  // namespace weft
