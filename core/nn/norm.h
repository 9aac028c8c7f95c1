// LayerNorm over the width, fused with the residual sum before it.
#pragma once

#include <string>

#include "core/nn/context.h"
#include "core/nn/saved.h"

namespace weft {

class Norm {
 public:
  // NAME.weight [C] and, where the set has it, NAME.bias [C], borrowed for the life of the layer.
  Norm(const ParameterSet& set, const std::string& name, double eps)
      : weight_(set.at(name + ".weight")), bias_(set.find(name + ".bias")), eps_(eps) {}

  struct Output {
    Tensor sum;               // [S,C]: x + delta, or x itself when delta is absent
    Tensor y;                 // [S,C]: the normalised sum
    Tensor mean, rstd;        // [S], of the accumulator's type
    bool recomputed = false;  // y
  };
  // x [S,C], delta [S,C] optional. Output lives in `saved`; y only with keep_y, else in ctx.work.
  Output forward(const Tensor& x, const Tensor& delta, bool keep_y, Saved& saved, Context& ctx);
  // To be called after what reads y has pushed its own, with forward's keep_y.
  void push(const Output& output, bool keep_y, Saved& saved);
  // What was pushed; y is computed again in ctx.work where it was not kept.
  Output pop(Saved& saved, Context& ctx);

  // dresidual [S,C] holds the gradient of sum that comes from elsewhere; dy's share is added to it.
  void backward(const Output& output, const Tensor& dy, const Tensor& dresidual, Context& ctx);

 private:
  Parameter& weight_;
  Parameter* bias_;
  double eps_;
};

}  // namespace weft
