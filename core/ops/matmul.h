// Matrix products.
#pragma once

#include "core/ops/op.h"

namespace weft {

enum class Activation { none, relu, gelu_tanh, gelu };

namespace op {

// c = epilogue(op(a) op(b)): a is [M,K] ([K,M] if transpose_a), b is [K,N] ([N,K] if transpose_b),
// c is [M,N]. In this order:
//   v = a_scale[0] b_scale[0] a b (the scales where present);  v += bias[n] (if present);
//   pre_activation = v (if present) v = activation(v);  v *= activation_gradient'(activation_input)
//   (if present) c = v, or c += v if accumulate (then no epilogue may be asked for).
// v is of A: pre_activation is stored from it, and the activation applied to it, before either is
// rounded. c may not overlap a or b; pre_activation may be absent when nobody needs it. Without an
// epilogue a and c may have more columns than the product, which then take no part and stay as they
// are. With the gradient of a weight, a being the gradient of what the weight made, comes that of
// the bias:
//   bias_gradient[m] += sum over k of op(a)[m,k]
//
// The types of a, b and c are those of the tensors, each its own; the tensors of the epilogue are
// of c's. Every backend has a and b of one T with a c of T or, without an epilogue, of A, the
// gradient of a weight; what else it has it says by refusing the rest (expect_one_type).
struct Matmul {
  static constexpr OpName kName{"matmul", OpFamily::matmul};

  Tensor a, b, c;
  bool transpose_a = false;
  bool transpose_b = false;
  bool accumulate = false;
  Tensor bias;                                        // [N]
  Activation activation = Activation::none;           // applied in forward
  Tensor pre_activation;                              // [M,N] =
  Activation activation_gradient = Activation::none;  // multiplied in backward: act'(input)
  Tensor activation_input;                            // [M,N], may be c itself
  Tensor bias_gradient;     // [M] += of A; only with transpose_a, a c of A and no epilogue
  Tensor a_scale, b_scale;  // f32 [1]: multiply what a and b hold; optional

  int64_t m() const { return c.shape().rows(); }
  int64_t n() const { return transpose_b ? b.shape().rows() : b.shape().back(); }
  int64_t k() const { return transpose_b ? b.shape().back() : b.shape().rows(); }

  void check() const;
  Cost cost() const;
  SizeTensors sizes() const { return {a, b, c}; }
};

}  // namespace op

// Refuses, in the name of `backend`, products of operands of two types or with scales, and a c that
// is neither of their type nor of its sums'.
void expect_one_type(const op::Matmul& product, const char* backend);

using MatmulOps = Types<op::Matmul>;

}  // namespace weft
