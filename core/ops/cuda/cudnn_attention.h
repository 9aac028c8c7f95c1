// CudnnAttention: causal attention over whole sequences by cuDNN's fused graphs, in 16-bit types.
//
// cuDNN is opened at run time; while one of these lives there can be no second. A build without the
// frontend's headers has one that serves nothing. Plans are made once per shape. cuDNN's
// deterministic gradient wants a matrix of queries by keys per head as working memory.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "core/ops/cuda/flash_attention.h"

namespace weft {

class CudnnAttention {
 public:
  // For the calling thread's GPU. Throws Error{environment} without cuDNN.
  explicit CudnnAttention(bool deterministic);
  // Without a GPU, for one that cuDNN has described in JSON: answers what cuDNN would do there.
  CudnnAttention(const std::string& device_properties, int compute_capability, bool deterministic);
  ~CudnnAttention();
  CudnnAttention(const CudnnAttention&) = delete;
  CudnnAttention& operator=(const CudnnAttention&) = delete;

  // Bytes of working memory that the call needs, or -1 where cuDNN does not serve it, with the
  // reason in why_not(). Asked without a GPU, bytes are 0.
  int64_t workspace_bytes(const AttentionProblem& problem, DType dtype, bool backward);
  const std::string& why_not() const { return why_not_; }

  // Enqueue calls that are served; lse must be there.
  void forward(const cuda::FlashForward& args, void* workspace, cudaStream_t stream);
  void backward(const cuda::FlashBackward& args, void* workspace, cudaStream_t stream);

 private:
  struct Plan;
  struct Context;
  using Key =
      std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, float, DType, bool>;

  Plan& plan(const AttentionProblem& problem, DType dtype, bool backward);

  bool deterministic_;
  std::unique_ptr<Context> context_;
  std::map<Key, std::unique_ptr<Plan>> plans_;
  std::string why_not_;
};

}  // namespace weft
