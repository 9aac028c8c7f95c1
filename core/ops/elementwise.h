// What is done to elements one by one.
#pragma once

#include "core/ops/expect.h"
#include "core/ops/op.h"

namespace weft {
namespace op {

// y = a + b; y may be a or b.
struct Add {
  static constexpr OpName kName{"add", OpFamily::elementwise};

  Tensor a, b, y;

  void check() const {
    expect_float(kName, "a", a);
    expect_count(kName, "b", b, a.elements(), a.dtype());
    expect_count(kName, "y", y, a.elements(), a.dtype());
  }
  Cost cost() const { return moved({a, b, y}); }
  SizeTensors sizes() const { return {y}; }
};

// x = value, of any type.
struct Fill {
  static constexpr OpName kName{"fill", OpFamily::elementwise};

  Tensor x;
  double value = 0;

  void check() const {}
  Cost cost() const { return moved({x}); }
  SizeTensors sizes() const { return {x}; }
};

}  // namespace op

using ElementwiseOps = Types<op::Add, op::Fill>;

}  // namespace weft
