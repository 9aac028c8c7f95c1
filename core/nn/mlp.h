// Mlp: y = W2 activation(W1 x + b1) + b2.
#pragma once

#include "core/nn/dropout.h"
#include "core/nn/linear.h"

namespace weft {

class Mlp {
 public:
  Mlp(const Linear& up, const Linear& down, Activation activation, double dropout,
      const std::string& name)
      : up_(up), down_(down), activation_(activation), dropout_(dropout, name + ".dropout") {}

  // x [S,C] -> y [S,C] (=).
  void forward(const Tensor& x, const Tensor& y, Saved& saved, Context& ctx);
  // dy [S,C] (destroyed when dropout applies) -> dx [S,C] (=).
  void backward(const Tensor& dy, const Tensor& dx, Saved& saved, Context& ctx);
  void backward_weights(Saved& saved, Context& ctx);

 private:
  Linear up_;
  Linear down_;
  Activation activation_;
  Dropout dropout_;
};

}  // namespace weft
