// A device without memory, for planners: it hands out addresses that nothing lies behind, so that a
// step can be laid out and gone through with counting ops and counting communicators, whatever its
// size.
#pragma once

#include <memory>

#include "core/device/device.h"

namespace weft {

// Buffers reserve address space alone (an access ends the process); copies do nothing; streams run
// work in the calling thread. has_memory() is false.
std::unique_ptr<Device> make_counting_device();

}  // namespace weft
