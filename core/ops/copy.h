// Copies.
#pragma once

#include "core/base/philox.h"
#include "core/ops/element_map.h"
#include "core/ops/expect.h"
#include "core/ops/op.h"

namespace weft {
namespace op {

// to = from: as many elements, of any two types.
struct Copy {
  static constexpr OpName kName{"copy", OpFamily::elementwise};

  Tensor from, to;

  void check() const { expect_count(kName, "to", to, from.elements(), to.dtype()); }
  Cost cost() const { return moved({from, to}); }
  SizeTensors sizes() const { return {to}; }
};

// The last columns of rows [R,N] to or from [R,n], n <= N: to[r, -i] = from[r, -i] for the columns
// counted from the end that both have. One type.
struct CopyLastColumns {
  static constexpr OpName kName{"copy_last_columns", OpFamily::elementwise};

  Tensor from, to;

  void check() const;
  Cost cost() const { return moved({to, to}); }
  SizeTensors sizes() const { return {to}; }
};

// Each element rounded up or down with the probability that keeps the mean (kernels/storage.h), by
// the word of its number in the whole tensor, so that no result depends on how the tensor is cut.
struct CopyStochastic {
  static constexpr OpName kName{"copy_stochastic", OpFamily::elementwise};

  Tensor from;  // f32
  Tensor to;    // bf16 =, as many
  RandomKey key = {};
  ElementMap elements = {};

  void check() const {
    expect_count(kName, "from", from, from.elements(), DType::f32);
    expect_count(kName, "to", to, from.elements(), DType::bf16);
    expect_elements(kName, elements);
  }
  Cost cost() const { return moved({from, to}); }
  SizeTensors sizes() const { return {to}; }
};

}  // namespace op

using CopyOps = Types<op::Copy, op::CopyLastColumns, op::CopyStochastic>;

}  // namespace weft
