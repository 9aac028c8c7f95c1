// Storage types: what elements are in memory, and the arithmetic type they are computed in. Kernels
// read with load() and write with store<S>(); for f32 and f64 both do nothing.
//
// The conversions are branch-free integer code, so that a loop over them becomes vector code.
#pragma once

#include <bit>
#include <cstdint>

#include "core/base/half.h"
#include "core/kernels/math.h"

namespace weft::kernels {

// f32 for the 16-bit types, whose values it holds all; other types compute in themselves.
template <typename S>
struct ArithmeticOf {
  using Type = S;
};
template <>
struct ArithmeticOf<Bf16> {
  using Type = float;
};
template <>
struct ArithmeticOf<F16> {
  using Type = float;
};
template <typename S>
using Arithmetic = typename ArithmeticOf<S>::Type;

template <typename S>
WEFT_KERNEL S load(S x) {
  return x;
}
WEFT_KERNEL float load(Bf16 x) { return std::bit_cast<float>(uint32_t{x.bits} << 16); }
// Moving the fields to their places in a float leaves the exponent 112 too small; subnormals are
// counted in 2^-24, infinity and NaN need the largest exponent.
WEFT_KERNEL float load(F16 x) {
  const uint32_t bits = x.bits;
  const uint32_t sign = (bits & 0x8000u) << 16;
  const uint32_t rest = (bits & 0x7fffu) << 13;
  const uint32_t moved = rest + (112u << 23);
  const uint32_t normal = rest >= (31u << 23) ? moved + (112u << 23) : moved;
  const float small = static_cast<float>(static_cast<int32_t>(bits & 0x3ffu)) * 0x1p-24f;
  const uint32_t magnitude = rest < (1u << 23) ? std::bit_cast<uint32_t>(small) : normal;
  return std::bit_cast<float>(magnitude | sign);
}

// The storage of a value: rounded to nearest, ties to even; too large becomes infinity, NaN stays
// NaN.
template <typename To>
struct Store {
  template <typename From>
  static WEFT_KERNEL To from(From x) {
    return static_cast<To>(x);
  }
};
template <>
struct Store<Bf16> {
  template <typename From>
  static WEFT_KERNEL Bf16 from(From x) {
    const auto bits = std::bit_cast<uint32_t>(static_cast<float>(x));
    const uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
    const bool nan = (bits & 0x7FFFFFFF) > 0x7F800000;
    return {static_cast<uint16_t>(nan ? (bits >> 16) | 0x40 : rounded)};
  }
};
// Below 2^-14 results are multiples of 2^-24, to which adding 0.5 rounds.
template <>
struct Store<F16> {
  template <typename From>
  static WEFT_KERNEL F16 from(From x) {
    const auto bits = std::bit_cast<uint32_t>(static_cast<float>(x));
    const uint32_t sign = (bits >> 16) & 0x8000u;
    const uint32_t a = bits & 0x7FFFFFFFu;
    const uint32_t normal = (a - (112u << 23) + 0xFFF + ((a >> 13) & 1)) >> 13;
    const uint32_t small =
        std::bit_cast<uint32_t>(std::bit_cast<float>(a) + 0.5f) - std::bit_cast<uint32_t>(0.5f);
    const uint32_t large = a > 0x7F800000u ? 0x7E00u : 0x7C00u;
    const uint32_t finite = a < 0x38800000u ? small : normal;
    return {static_cast<uint16_t>((a >= 0x47800000u ? large : finite) | sign)};
  }
};
template <typename S, typename T>
WEFT_KERNEL S store(T x) {
  return Store<S>::from(x);
}

// x rounded up or down to a bf16 with the probability that keeps its mean (arXiv 2010.06192): a
// `word` of random bits decides. What a bf16 holds exactly stays as it is.
WEFT_KERNEL Bf16 store_stochastic(float x, uint32_t word) {
  const auto bits = std::bit_cast<uint32_t>(x);
  const bool finite = (bits & 0x7F800000) != 0x7F800000;
  const uint32_t rounded = (bits + (word >> 16)) >> 16;
  return finite ? Bf16{static_cast<uint16_t>(rounded)} : store<Bf16>(x);
}

}  // namespace weft::kernels
