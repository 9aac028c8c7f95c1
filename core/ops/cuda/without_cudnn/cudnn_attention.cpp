// CudnnAttention of a build without the headers of cuDNN's frontend: it serves nothing.
#include "core/ops/cuda/cudnn_attention.h"

#include "core/base/error.h"

namespace weft {

struct CudnnAttention::Plan {};
struct CudnnAttention::Context {};

CudnnAttention::CudnnAttention(bool deterministic) : deterministic_(deterministic) {}
CudnnAttention::CudnnAttention(const std::string&, int, bool deterministic)
    : deterministic_(deterministic) {
  fail(ErrorKind::environment, "this build has no cuDNN");
}
CudnnAttention::~CudnnAttention() = default;

int64_t CudnnAttention::workspace_bytes(const AttentionProblem&, DType, bool) {
  why_not_ = "this build has no cuDNN";
  return -1;
}
void CudnnAttention::forward(const cuda::FlashForward&, void*, cudaStream_t) {
  WEFT_CHECK(false, "{}", why_not_);
}
void CudnnAttention::backward(const cuda::FlashBackward&, void*, cudaStream_t) {
  WEFT_CHECK(false, "{}", why_not_);
}

}  // namespace weft
