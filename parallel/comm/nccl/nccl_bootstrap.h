// The control plane of a job whose tensors are in GPU memory: `host` for words, NCCL for groups.
#pragma once

#include <memory>

#include "core/mesh/communicator.h"
#include "parallel/comm/nccl/nccl_api.h"
#include "parallel/comm/options.h"

namespace weft {

// `host` and the device of the streams outlive it. One thread per rank. NCCL refuses two ranks on
// one GPU unless it takes them for ranks of different hosts, which `share_gpus` makes it do through
// its environment variables, as far as those are not set: a process per rank is needed, and they
// talk over sockets.
std::unique_ptr<Bootstrap> make_nccl_bootstrap(Bootstrap& host, NcclApi api, bool share_gpus,
                                               const CommOptions& options);

}  // namespace weft
