// Values from the host to a tensor of any floating-point type.
#pragma once

#include <span>

#include "core/device/device.h"
#include "core/tensor/tensor.h"

namespace weft {

// to = values, as many, each rounded to nearest where the tensor's type is narrower (f64, f32, bf16
// or f16). Returns when the values may go.
void upload(std::span<const float> values, const Tensor& to, Device& device, Stream& stream);
void upload(std::span<const double> values, const Tensor& to, Device& device, Stream& stream);

}  // namespace weft
