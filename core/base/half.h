// The two 16-bit floating-point types, and their values as float; exact, since float holds them
// all.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace weft {

// Elements of these types in memory; core/kernels/storage.h computes with them.
struct Bf16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};

// bfloat16: the upper half of a float.
inline float from_bf16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

// IEEE 754 binary16: 1 sign, 5 exponent (bias 15) and 10 mantissa bits. NaN keeps its payload.
inline float from_f16(uint16_t bits) {
  const uint32_t sign = (bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu;
  const uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24
    const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
    return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
  }
  const uint32_t widened = exponent == 0x1f ? 0xffu : exponent + (127 - 15);
  return std::bit_cast<float>(sign | (widened << 23) | (mantissa << 13));
}

}  // namespace weft
