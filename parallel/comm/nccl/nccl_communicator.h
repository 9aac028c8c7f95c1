// A Communicator over NCCL, for tensors in GPU memory.
//
// Calls are enqueued on CUDA streams by one thread of the process, in program order, which is the
// order in which the communicators of a device are launched (NCCL_LAUNCH_ORDER_IMPLICIT). Sums are
// NCCL's: the same ranks on the same GPUs with the same version give the same bits, other than
// those of host transports; NCCL adds bf16 and f16 in its own precision, so reduce gradients in
// f32.
#pragma once

#include <memory>
#include <string>

#include "core/mesh/communicator.h"
#include "parallel/comm/nccl/nccl_watch.h"

namespace weft {

// Rank `rank` of the `size` ranks that got the same `id`; collective. With one rank, `id` is not
// read and nothing of NCCL is called. Throws Error{peer} when the group does not come about within
// the deadline. The table and the watch outlive it.
std::unique_ptr<Communicator> make_nccl_communicator(const NcclApi& api, NcclWatch& watch,
                                                     const ncclUniqueId& id, int rank, int size,
                                                     const std::string& axis,
                                                     const CommOptions& options);

}  // namespace weft
