// The control plane of a job whose tensors are in GPU memory: `host` for words, NCCL for groups.
#pragma once

#include <memory>

#include "core/dist/communicator.h"
#include "parallel/comm/nccl/nccl_api.h"
#include "parallel/comm/options.h"

namespace weft {

// `host` and the device of the streams outlive it. One GPU and one thread per rank.
std::unique_ptr<Bootstrap> make_nccl_bootstrap(Bootstrap& host, NcclApi api,
                                               const CommOptions& options);

}  // namespace weft
