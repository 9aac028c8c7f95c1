// Mlp: y = W2 activation(W1 x + b1) + b2.
#pragma once

#include "core/nn/dropout.h"
#include "core/nn/linear.h"
#include "core/nn/saved.h"

namespace weft {

class Mlp {
 public:
  // NAME.up and NAME.down; `name` ("h.0.mlp") also tells this use of randomness apart.
  Mlp(const ParameterSet& set, const std::string& name, Activation activation, double dropout)
      : up_(set, name + ".up"),
        down_(set, name + ".down"),
        activation_(activation),
        dropout_(dropout, name + ".dropout") {}

  // x [S,C] -> y [S,C] (=). An absent y is not computed: where backward repeats the forward.
  void forward(const Tensor& x, const Tensor& y, Saved& saved, Context& ctx);
  // x as in forward, dy [S,C] (destroyed when dropout applies) -> dx [S,C] (=).
  void backward(const Tensor& x, const Tensor& dy, const Tensor& dx, Saved& saved, Context& ctx);
  void backward_weights(Saved& saved, Context& ctx);

 private:
  Linear up_;
  Linear down_;
  Activation activation_;
  Dropout dropout_;
};

}  // namespace weft
