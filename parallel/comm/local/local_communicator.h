// Communicator between ranks that are threads of one process: peers read each other's buffers.
#pragma once

#include <memory>
#include <string>

#include "core/mesh/communicator.h"
#include "parallel/comm/local/local_group.h"

namespace weft {

std::unique_ptr<Communicator> make_local_communicator(std::shared_ptr<LocalGroup> group, int rank,
                                                      const std::string& axis);

}  // namespace weft
