// The devices that this build has, and the operations of each. This folder alone knows which
// backends there are: all else is the same in every build.
#pragma once

#include <memory>
#include <vector>

#include "core/device/device.h"
#include "core/device/recorder.h"
#include "core/ops/cuda/cuda_libraries.h"
#include "core/ops/ops.h"
#include "core/ops/working_memory.h"

namespace weft {

// Throws Error{environment} where the build or the machine has no such device.
std::unique_ptr<Device> make_device(const DeviceOptions& options);

// Null where work on `device` cannot be recorded.
std::unique_ptr<Recorder> make_recorder(Device& device);

// The operations of `device`, which outlives them.
std::unique_ptr<Ops> make_ops(Device& device);

// By rule, without the device: for CPU ranks of so many threads, or for a GPU with every library in
// place.
std::unique_ptr<WorkingMemory> make_working_memory(const DeviceOptions& options);

// What this build and this machine offer of CUDA, for people.
CudaReport cuda_report();

// The libraries that operations on GPUs open at run time: each is opened and asked its version, and
// where there is a GPU, who computes attention there. Empty in a build without CUDA.
std::vector<CudaLibrary> cuda_libraries();

}  // namespace weft
