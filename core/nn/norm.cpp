#include "core/nn/norm.h"

namespace weft {

Norm::Output Norm::forward(const Tensor& x, const Tensor& delta, bool keep_y, Saved& saved,
                           Context& ctx) {
  const Shape rows{x.shape().rows()};
  Output out{
      .sum = x,
      .y = keep_y ? saved.allocate(x.shape(), x.dtype()) : ctx.work.allocate(x.shape(), x.dtype())};
  op::NormForward args{.x = x, .weight = weight_.value, .y = out.y, .eps = eps_};
  if (!delta.empty()) {
    out.sum = saved.allocate(x.shape(), x.dtype());
    args.residual = delta;
    args.sum = out.sum;
  }
  if (bias_ != nullptr) args.bias = bias_->value;
  args.mean = out.mean = saved.allocate(rows, accumulator(x.dtype()));
  args.rstd = out.rstd = saved.allocate(rows, accumulator(x.dtype()));
  ctx.ops(args, ctx.stream);
  return out;
}

void Norm::push(const Output& output, bool keep_y, Saved& saved) {
  saved.push(output.sum);
  saved.push(output.mean);
  saved.push(output.rstd);
  saved.push(keep_y ? output.y : Tensor());
}

Norm::Output Norm::pop(Saved& saved, Context& ctx) {
  Output out;
  out.y = saved.pop();
  out.rstd = saved.pop();
  out.mean = saved.pop();
  out.sum = saved.pop();
  if (!out.y.empty()) return out;
  out.recomputed = true;
  out.y = ctx.work.allocate(out.sum.shape(), out.sum.dtype());
  op::NormForward args{.x = out.sum, .weight = weight_.value, .y = out.y, .eps = eps_};
  if (bias_ != nullptr) args.bias = bias_->value;
  args.mean = out.mean;  // what they hold already
  args.rstd = out.rstd;
  ctx.ops(args, ctx.stream);
  return out;
}

void Norm::backward(const Output& output, const Tensor& dy, const Tensor& dresidual, Context& ctx) {
  op::NormBackward args{.dy = dy,
                        .x = output.sum,
                        .weight = weight_.value,
                        .mean = output.mean,
                        .rstd = output.rstd,
                        .dx = dresidual,
                        .dweight = weight_.grad};
  if (bias_ != nullptr) args.dbias = bias_->grad;
  ctx.ops(args, ctx.stream);
  ctx.ready(bias_);
  ctx.ready(weight_);
}

}  // namespace weft
