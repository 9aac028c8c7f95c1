#include "core/nn/linear.h"

namespace weft {

void Linear::forward(const Tensor& x, const Tensor& y, Saved& saved, Context& ctx,
                     Activation activation, const Tensor& pre_activation) {
  MatmulArgs args{.a = x, .b = weight_.value, .c = y, .transpose_b = true};
  if (bias_ != nullptr) args.bias = bias_->value;
  args.activation = activation;
  args.pre_activation = pre_activation;
  ctx.ops.matmul(args, ctx.stream);
  saved.push(x);
}

void Linear::backward(const Tensor& dy, const Tensor& dx, Saved& saved, Context& ctx,
                      Activation activation, const Tensor& activation_input) {
  const Tensor x = saved.pop();
  MatmulArgs args{.a = dy, .b = weight_.value, .c = dx};
  args.activation_gradient = activation;
  args.activation_input = activation_input;
  ctx.ops.matmul(args, ctx.stream);
  if (!ctx.defer_weights) {
    add_gradients(x, dy, ctx);
    return;
  }
  // The caller goes on to overwrite dy, e.g. with the next residual gradient.
  const Tensor kept = saved.allocate_deferred(dy.shape(), dy.dtype());
  ctx.ops.copy(dy, kept, ctx.stream);
  saved.defer(x);
  saved.defer(kept);
}

void Linear::backward_weights(Saved& saved, Context& ctx) {
  const Tensor x = saved.next_deferred();
  const Tensor dy = saved.next_deferred();
  add_gradients(x, dy, ctx);
}

void Linear::add_gradients(const Tensor& x, const Tensor& dy, Context& ctx) {
  ctx.ops.matmul({.a = dy, .b = x, .c = weight_.grad, .transpose_a = true, .accumulate = true},
                 ctx.stream);
  if (bias_ != nullptr) ctx.ops.bias_backward(dy, bias_->grad, ctx.stream);
}

}  // namespace weft
