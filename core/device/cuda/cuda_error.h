// Failures of CUDA calls as errors that say what was tried and what helps.
#pragma once

#include <cuda_runtime_api.h>

#include <string_view>

namespace weft {

// Throws Error{environment} unless status is cudaSuccess. `what` completes "CUDA cannot ...".
void check_cuda(cudaError_t status, std::string_view what);

}  // namespace weft
