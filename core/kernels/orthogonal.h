// The elementwise parts of a Newton-Schulz iteration.
#pragma once

#include "core/kernels/storage.h"
#include "core/kernels/team.h"

namespace weft::kernels {

// What a matrix is multiplied with so that its norm, the root of `sum`, becomes 1.
WEFT_KERNEL float normalizing_factor(double sum, double eps) {
  const double norm = std::sqrt(sum);
  return static_cast<float>(1.0 / (norm > eps ? norm : eps));
}

// Element of a I + b x + c square.
template <typename A>
WEFT_KERNEL A polynomial_element(A a, A b, A c, bool diagonal, A x, A square) {
  const A v = b * x + c * square;
  return diagonal ? a + v : v;
}

}  // namespace weft::kernels
