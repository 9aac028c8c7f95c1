// Activations, their derivatives, and the epilogue of a matrix product that applies them.
#pragma once

#include "core/kernels/storage.h"
#include "core/kernels/team.h"

namespace weft::kernels {

template <typename T>
struct Identity {
  static constexpr bool kIdentity = true;
  static WEFT_KERNEL T value(T x) { return x; }
  static WEFT_KERNEL T slope(T) { return T(1); }
};

// The derivative at 0 is 0.
template <typename T>
struct Relu {
  static constexpr bool kIdentity = false;
  static WEFT_KERNEL T value(T x) { return x < T(0) ? T(0) : x; }
  static WEFT_KERNEL T slope(T x) { return x > T(0) ? T(1) : T(0); }
};

// GELU by its tanh approximation (arXiv 1606.08415), written with the logistic function because
// (1 + tanh u) / 2 = 1 / (1 + e^-2u): one exponential and no cancellation.
template <typename T>
struct GeluTanh {
  static constexpr bool kIdentity = false;
  static constexpr T kA = T(1.5957691216057308);  // 2 sqrt(2 / pi)
  static constexpr T kB = kA * T(0.044715);
  static WEFT_KERNEL T logistic(T x) { return T(1) / (T(1) + exp(-x * (kA + kB * x * x))); }
  static WEFT_KERNEL T value(T x) { return x * logistic(x); }
  static WEFT_KERNEL T slope(T x) {
    const T s = logistic(x);
    // s (1 - s) is exactly 0 in the tails, where x times the cubic may overflow: keep the product
    // finite by bounding x, beyond which the slope is 0 or 1 anyway.
    const T b = x > T(40) ? T(40) : (x < T(-40) ? T(-40) : x);
    return s + b * s * (T(1) - s) * (kA + T(3) * kB * b * b);
  }
};

// Exact GELU: x times the normal distribution function.
template <typename T>
struct Gelu {
  static constexpr bool kIdentity = false;
  static constexpr T kSqrtHalf = T(0.70710678118654752);
  static constexpr T kDensity = T(0.39894228040143268);  // 1 / sqrt(2 pi)
  static WEFT_KERNEL T cumulative(T x) { return T(0.5) * (T(1) + erf(x * kSqrtHalf)); }
  static WEFT_KERNEL T value(T x) { return x * cumulative(x); }
  static WEFT_KERNEL T slope(T x) { return cumulative(x) + x * kDensity * exp(T(-0.5) * x * x); }
};

// One row of the forward epilogue, in place: v += bias; pre = v; v = act(v). bias and pre may be
// null.
template <typename Act, typename Team, typename T, typename S>
WEFT_KERNEL void activate_row(Team team, int64_t n, const S* bias, S* pre, T* v) {
  if (bias != nullptr) {
    team.for_each(n, [=](int64_t i) WEFT_LANE { v[i] += load(bias[i]); });
  }
  if (pre != nullptr) {
    team.for_each(n, [=](int64_t i) WEFT_LANE { pre[i] = store<S>(v[i]); });
  }
  if constexpr (!Act::kIdentity) {
    team.for_each(n, [=](int64_t i) WEFT_LANE { v[i] = Act::value(v[i]); });
  }
}

// One row of the backward epilogue: c = v * act'(input). v may be c; c may be input.
template <typename Act, typename Team, typename T, typename S>
WEFT_KERNEL void activation_gradient_row(Team team, int64_t n, const T* v, const S* input, S* c) {
  team.for_each(n,
                [=](int64_t i) WEFT_LANE { c[i] = store<S>(v[i] * Act::slope(load(input[i]))); });
}

}  // namespace weft::kernels
