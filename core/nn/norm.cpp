#include "core/nn/norm.h"

namespace weft {

Norm::Output Norm::forward(const Tensor& x, const Tensor& delta, Saved& saved, Context& ctx) {
  const Shape rows{x.shape().rows()};
  Output out{x, saved.allocate(x.shape(), x.dtype())};
  NormForwardArgs args{.x = x, .weight = weight_.value, .y = out.y, .eps = eps_};
  if (!delta.empty()) {
    out.sum = saved.allocate(x.shape(), x.dtype());
    args.residual = delta;
    args.sum = out.sum;
  }
  if (bias_ != nullptr) args.bias = bias_->value;
  args.mean = saved.allocate(rows, x.dtype());
  args.rstd = saved.allocate(rows, x.dtype());
  ctx.ops.norm_forward(args, ctx.stream);
  saved.push(out.sum);
  saved.push(args.mean);
  saved.push(args.rstd);
  return out;
}

void Norm::backward(const Tensor& dy, const Tensor& dresidual, Saved& saved, Context& ctx) {
  NormBackwardArgs args{
      .dy = dy, .weight = weight_.value, .dx = dresidual, .dweight = weight_.grad};
  args.rstd = saved.pop();
  args.mean = saved.pop();
  args.x = saved.pop();
  if (bias_ != nullptr) args.dbias = bias_->grad;
  ctx.ops.norm_backward(args, ctx.stream);
}

}  // namespace weft
