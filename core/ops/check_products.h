// check_products: whether this machine multiplies matrices right, before anything is trained.
#pragma once

#include "core/device/device.h"
#include "core/ops/ops.h"

namespace weft {

// Computes products of `type` whose results are known exactly, in each way of lying in memory that
// layers use, with all threads of the device, down to slices of one row and of one column, and
// compares every element; a few milliseconds. Throws Error{environment} where one is wrong or was
// not written. `stream` is a compute stream.
void check_products(Device& device, Ops& ops, Stream& stream, DType type);

}  // namespace weft
