// Linear: y = x W^T + b, whole or cut over the tensor-parallel ranks as the weight's placement says
// (Megatron-LM, arXiv 1909.08053):
//
//   weight            input              output            collectives forward / backward
//   a replica         x                  y                 none
//   cut in dim 0      x [S,in] shared    y [R,out/N]       gather x / sum and share dx
//   cut in dim 1      x [R,in/N]         y [S,out] shared  sum and share y / gather dy
//
// The bias of the last form is added by the first rank alone, before the sum.
//
// Where the input is shared, backward needs x gathered for the weight gradient alone and dx summed
// for nobody in this layer. With a side stream of the axis each collective runs under the other's
// product:
//
//   side stream      | gather x      | sum and share dx |
//   compute stream   | dx's product  | dW, db           |
#pragma once

#include <string>

#include "core/nn/context.h"
#include "core/nn/saved.h"

namespace weft {

class Linear {
 public:
  // NAME.weight [out,in] and, where the set has it, NAME.bias [out], borrowed for the life of the
  // layer.
  Linear(const ParameterSet& set, const std::string& name);

  // y (=) is given by the caller. With an activation, y = activation(v) and v goes to
  // pre_activation (if present); not for a weight cut in dim 1.
  void forward(const Tensor& x, const Tensor& y, Context& ctx,
               Activation activation = Activation::none, const Tensor& pre_activation = {});

  // x as in forward, dy like y -> dx like x (=), times activation'(activation_input) if given; that
  // not for a weight cut in dim 0. The weight gradients are added at once, or when
  // ctx.defer_weights deferred with a copy of dy; x must then stay as it is until they are. Both
  // notify ctx of the gradients that are complete.
  void backward(const Tensor& x, const Tensor& dy, const Tensor& dx, Saved& saved, Context& ctx,
                Activation activation = Activation::none, const Tensor& activation_input = {});

  // The deferred half of backward: dW += dy^T x, db += sum of dy. Calls come in the order of the
  // backward calls.
  void backward_weights(Saved& saved, Context& ctx);

  int64_t out() const { return weight_.local[0]; }
  int64_t in() const { return weight_.local[1]; }
  // Global number of the first output that this rank computes.
  int64_t first_out() const { return weight_.first_row; }

 private:
  // backward, weight gradients included, where the input is shared and the axis has a side stream.
  void backward_overlapped(const Tensor& x, const Tensor& dy, const Tensor& dx, Context& ctx);
  // x shared out where the layer shares it; dy of all rows.
  void add_gradients(const Tensor& x, const Tensor& dy, Context& ctx);
  // All rows of both.
  void add_products(const Tensor& all_x, const Tensor& dy, Context& ctx);

  Parameter& weight_;
  Parameter* bias_;
  bool shares_input_;   // cut in dim 0
  bool shares_output_;  // cut in dim 1
};

}  // namespace weft
