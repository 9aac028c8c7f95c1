// Elementary functions for kernels: branch free, so that a loop over them becomes vector code.
//
// The float versions stay within a few ulp of the exact value (bounds in tests/core/ops/
// math_test.cpp), propagate NaN, and need no -ffast-math. The double versions call the standard
// library: they serve the gradient checks, where accuracy counts and speed does not.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

// WEFT_KERNEL marks the functions of kernels, WEFT_LANE the lambdas they hand to a Team: a call
// left in a loop would keep it from becoming vector code.
#if defined(__CUDACC__)
#define WEFT_KERNEL __host__ __device__ __forceinline__
#define WEFT_LANE
#elif defined(__GNUC__)
#define WEFT_KERNEL inline __attribute__((always_inline))
#define WEFT_LANE __attribute__((always_inline))
#else
#define WEFT_KERNEL inline
#define WEFT_LANE
#endif

namespace weft::kernels {

// a * b + c, with one rounding where the hardware has it (elsewhere fma would be a library call).
WEFT_KERNEL float multiply_add(float a, float b, float c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__CUDA_ARCH__)
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

// c[kFirst] + c[kFirst + 1] x + c[kFirst + 2] x^2 + ... A recursion, because a loop in here would
// keep the compiler from making vector code of the loop around it.
template <int kFirst = 0, int N>
WEFT_KERNEL float polynomial(const float (&c)[N], float x) {
  if constexpr (kFirst + 1 < N) {
    return multiply_add(polynomial<kFirst + 1>(c, x), x, c[kFirst]);
  } else {
    return c[kFirst];
  }
}

// e^x. x = n ln 2 + r with |r| <= ln 2 / 2 (Cody and Waite: ln 2 in two parts, the first with few
// enough bits that n times it is exact); e^r by a polynomial; 2^n in two factors, so that results
// down to the subnormals and up to infinity come out right.
WEFT_KERNEL float exp(float x) {
  constexpr float kC[] = {0.500000008f,   0.166666669f,   0.0416662683f,
                          0.00833326516f, 0.00139461897f, 0.000199179725f};
  constexpr float kRound = 0x1.8p23f;  // adding it rounds to an integer in the low bits
  x = x > 89.0f ? 89.0f : x;
  x = x < -104.0f ? -104.0f : x;
  const float shifted = multiply_add(x, 1.44269504f, kRound);
  const float n = shifted - kRound;
  float r = multiply_add(n, -0.693359375f, x);
  r = multiply_add(n, 2.12194440e-4f, r);
  const float e = multiply_add(polynomial(kC, r), r * r, r) + 1.0f;
  const int32_t i = std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kRound);
  const int32_t half = i >> 1;
  const float low = std::bit_cast<float>((half + 127) << 23);
  const float high = std::bit_cast<float>((i - half + 127) << 23);
  return e * low * high;
}

// tanh(x): an odd polynomial near 0, 1 - 2 / (e^2|x| + 1) elsewhere.
WEFT_KERNEL float tanh(float x) {
  constexpr float kC[] = {-0.333333306f, 0.133331959f,    -0.0539453781f,
                          0.0216926054f, -0.00815627666f, 0.00212274262f};
  const float z = x * x;
  const float near = std::copysign(multiply_add(polynomial(kC, z), z * x, x), x);
  const float a = std::fabs(x);
  const float far = std::copysign(1.0f - 2.0f / (exp(a + a) + 1.0f), x);
  return a < 0.625f ? near : (x == x ? far : x);
}

// erf(x): an odd polynomial near 0, 1 - e^p(|x|) elsewhere, p the logarithm of erfc.
WEFT_KERNEL float erf(float x) {
  constexpr float kNear[] = {1.12837917f,    -0.376126343f,  0.112837033f,   -0.0268597986f,
                             0.00520196023f, -0.0008152628f, 8.40992077e-05f};
  constexpr float kFar[] = {0.000170552114f, -1.12949516f,    -0.633386646f,   -0.108236621f,
                            0.0250914976f,   -0.00416052735f, 0.000432303088f, -2.09095636e-05f};
  const float z = x * x;
  const float near = polynomial(kNear, z) * x;
  float a = std::fabs(x);
  a = a > 4.0f ? 4.0f : a;
  const float far = std::copysign(1.0f - exp(polynomial(kFar, a)), x);
  return std::fabs(x) < 0.91f ? near : (x == x ? far : x);
}

WEFT_KERNEL double exp(double x) { return std::exp(x); }
WEFT_KERNEL double tanh(double x) { return std::tanh(x); }
WEFT_KERNEL double erf(double x) { return std::erf(x); }

}  // namespace weft::kernels
