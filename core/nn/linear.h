// Linear: y = x W^T + b.
#pragma once

#include "core/dist/parameter.h"
#include "core/nn/context.h"

namespace weft {

class Linear {
 public:
  // weight [out,in]; bias [out] or null. Borrowed for the life of the layer.
  Linear(Parameter& weight, Parameter* bias) : weight_(weight), bias_(bias) {}

  // x [R,in] -> y [R,out] (=, given by the caller). Saves x, which must stay as it is until the
  // weight gradient is done. With an activation, y = activation(v) and v goes to pre_activation (if
  // present).
  void forward(const Tensor& x, const Tensor& y, Saved& saved, Context& ctx,
               Activation activation = Activation::none, const Tensor& pre_activation = {});

  // dy [R,out] -> dx [R,in] (=), times activation'(activation_input) if given. The weight gradients
  // are added at once, or deferred with a copy of dy when ctx.defer_weights.
  void backward(const Tensor& dy, const Tensor& dx, Saved& saved, Context& ctx,
                Activation activation = Activation::none, const Tensor& activation_input = {});

  // The deferred half of backward: dW += dy^T x, db += sum of dy. Calls come in the order of the
  // backward calls.
  void backward_weights(Saved& saved, Context& ctx);

  int64_t out() const { return weight_.local[0]; }
  int64_t in() const { return weight_.local[1]; }

 private:
  void add_gradients(const Tensor& x, const Tensor& dy, Context& ctx);

  Parameter& weight_;
  Parameter* bias_;
};

}  // namespace weft
