#include "core/nn/linear.h"

#include "core/nn/shared_rows.h"

namespace weft {
namespace {

bool is_cut(const Parameter& weight, int dim) {
  for (const Split& s : weight.spec.place.splits) {
    if (s.axis == Axis::tp && s.dim == dim) return true;
  }
  return false;
}

}  // namespace

Linear::Linear(const ParameterSet& set, const std::string& name)
    : weight_(set.at(name + ".weight")),
      bias_(set.find(name + ".bias")),
      shares_input_(is_cut(weight_, 0)),
      shares_output_(is_cut(weight_, 1)) {}

void Linear::forward(const Tensor& x, const Tensor& y, Context& ctx, Activation activation,
                     const Tensor& pre_activation) {
  ArenaScope scope(ctx.work);
  op::Matmul args{.a = shares_input_ ? gather_rows(x, ctx) : x,
                  .b = weight_.value,
                  .c = shares_output_ ? partial_rows(y, ctx) : y,
                  .transpose_b = true};
  if (bias_ != nullptr && (!shares_output_ || ctx.first_tensor_rank())) args.bias = bias_->value;
  args.activation = activation;
  args.pre_activation = pre_activation;
  ctx.ops(args, ctx.stream);
  if (shares_output_) sum_and_share(args.c, y, ctx);
}

void Linear::backward(const Tensor& x, const Tensor& dy, const Tensor& dx, Saved& saved,
                      Context& ctx, Activation activation, const Tensor& activation_input) {
  ArenaScope scope(ctx.work);
  if (shares_input_ && ctx.tensor().side != nullptr && !ctx.defer_weights) {
    backward_overlapped(x, dy, dx, ctx);
    return;
  }
  const Tensor all_dy = shares_output_ ? gather_rows(dy, ctx) : dy;
  op::Matmul args{.a = all_dy, .b = weight_.value, .c = shares_input_ ? partial_rows(dx, ctx) : dx};
  args.activation_gradient = activation;
  args.activation_input = activation_input;
  ctx.ops(args, ctx.stream);
  if (shares_input_) sum_and_share(args.c, dx, ctx);
  if (!ctx.defer_weights) {
    add_gradients(x, all_dy, ctx);
    return;
  }
  // The caller goes on to overwrite dy, e.g. with the next residual gradient.
  const Tensor kept = saved.allocate_deferred(all_dy.shape(), all_dy.dtype());
  ctx.ops(op::Copy{.from = all_dy, .to = kept}, ctx.stream);
  saved.defer(x);
  saved.defer(kept);
}

void Linear::backward_weights(Saved& saved, Context& ctx) {
  const Tensor x = saved.next_deferred();
  const Tensor dy = saved.next_deferred();
  add_gradients(x, dy, ctx);
}

void Linear::backward_overlapped(const Tensor& x, const Tensor& dy, const Tensor& dx,
                                 Context& ctx) {
  SideStream& side = *ctx.tensor().side;
  side.follow(ctx.stream);
  const Tensor all_x = gather_rows(x, ctx, side.stream());
  side.stream().record(side.gathered());

  const Tensor partial = partial_rows(dx, ctx);
  ctx.ops(op::Matmul{.a = dy, .b = weight_.value, .c = partial}, ctx.stream);
  side.follow(ctx.stream);
  sum_and_share(partial, dx, ctx, side.stream());
  side.stream().record(side.reduced());

  ctx.stream.wait(side.gathered());
  add_products(all_x, dy, ctx);
  ctx.stream.wait(side.reduced());
}

void Linear::add_gradients(const Tensor& x, const Tensor& dy, Context& ctx) {
  ArenaScope scope(ctx.work);
  add_products(shares_input_ ? gather_rows(x, ctx) : x, dy, ctx);
}

void Linear::add_products(const Tensor& all_x, const Tensor& dy, Context& ctx) {
  op::Matmul args{.a = dy, .b = all_x, .c = weight_.grad, .transpose_a = true, .accumulate = true};
  if (bias_ != nullptr) args.bias_gradient = bias_->grad;
  ctx.ops(args, ctx.stream);
  ctx.ready(bias_);
  ctx.ready(weight_);
}

}  // namespace weft
