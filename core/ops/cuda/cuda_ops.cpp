// What the operations share; each is in the file of its name.
#include "core/ops/cuda/cuda_ops.h"

#include "core/base/error.h"

namespace weft {

namespace {

// Null on a machine without cuDNN: attention is then computed by our own kernels.
std::unique_ptr<CudnnAttention> open_cudnn(bool deterministic) {
  try {
    return std::make_unique<CudnnAttention>(deterministic);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::environment) throw;
    return nullptr;
  }
}

}  // namespace

CudaOps::CudaOps(CudaDevice& device)
    : device_(device),
      gemm_(device, device.options().matmul_cache, device.options().measure_matmuls),
      cudnn_(open_cudnn(device.options().deterministic)),
      needs_(cudnn_.get(), device.options().deterministic),
      scratch_(device) {}

CudaOps::~CudaOps() = default;

void CudaOps::reserve(size_t bytes) {
  if (bytes > kGemmWorkspace) scratch_.get<char>(static_cast<int64_t>(bytes - kGemmWorkspace));
}

int64_t MeasuredWorkingMemory::cudnn_bytes(const AttentionProblem& problem, DType dtype,
                                           bool backward) {
  if (cudnn_ == nullptr) return -1;
  const int64_t bytes = cudnn_->workspace_bytes(problem, dtype, backward);
  return bytes > kMostAttentionWorkspace ? -1 : bytes;
}

std::unique_ptr<Ops> make_cuda_ops(Device& device) {
  return std::make_unique<CudaOps>(cuda_device(device));
}

}  // namespace weft
