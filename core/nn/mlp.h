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

  // x [S,C] -> y [S,C] (=). An absent y is not computed: where backward repeats the forward.
  void forward(const Tensor& x, const Tensor& y, Saved& saved, Context& ctx);
  // x as in forward, dy [S,C] (destroyed when dropout applies) -> dx [S,C] (=).
  void backward(const Tensor& x, const Tensor& dy, const Tensor& dx, Saved& saved, Context& ctx);
  void backward_weights(Saved& saved, Context& ctx);
  // What forward takes of `saved`'s memory.
  int64_t saved_bytes(const ActivationSizes& sizes) const;

 private:
  Linear up_;
  Linear down_;
  Activation activation_;
  Dropout dropout_;
};

}  // namespace weft
