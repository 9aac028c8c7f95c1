// LayerNorm over the width, fused with the residual sum before it.
#pragma once

#include "core/dist/parameter.h"
#include "core/nn/context.h"

namespace weft {

class Norm {
 public:
  Norm(Parameter& weight, Parameter* bias, double eps) : weight_(weight), bias_(bias), eps_(eps) {}

  struct Output {
    Tensor sum;  // [S,C]: x + delta, or x itself when delta is absent
    Tensor y;    // [S,C]: the normalised sum
  };
  // x [S,C], delta [S,C] optional. Output lives in `saved`; saves sum and its statistics.
  Output forward(const Tensor& x, const Tensor& delta, Saved& saved, Context& ctx);

  // dresidual [S,C] holds the gradient of sum that comes from elsewhere; dy's share is added to it.
  void backward(const Tensor& dy, const Tensor& dresidual, Saved& saved, Context& ctx);

 private:
  Parameter& weight_;
  Parameter* bias_;
  double eps_;
};

}  // namespace weft
