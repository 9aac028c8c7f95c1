// Inverted dropout.
#pragma once

#include "core/base/philox.h"
#include "core/ops/op.h"
#include "core/ops/token_share.h"

namespace weft {
namespace op {

// An element is kept with probability 1 - p and then divided by 1 - p; forward and backward alike.
// The mask is a pure function of (key, global row * global columns + global column), regenerated in
// backward.
struct Dropout {
  static constexpr OpName kName{"dropout", OpFamily::elementwise};

  Tensor x;  // [R,C]
  Tensor y;  // [R,C] =, may be x
  double p = 0;
  RandomKey key = {};
  RowMap rows = {};
  int64_t first_column = 0;
  int64_t global_columns = 0;

  void check() const;
  Cost cost() const { return moved({x, y}); }
  SizeTensors sizes() const { return {x}; }
};

}  // namespace op

using DropoutOps = Types<op::Dropout>;

}  // namespace weft
