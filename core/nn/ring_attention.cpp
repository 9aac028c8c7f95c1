#include "core/nn/ring_attention.h"

#include <array>

namespace weft {
namespace {

// This rank's place in the ring. Tensors go from each rank to the next; those given to one start()
// travel until finish(), beside what is enqueued on ctx.stream in between.
class Ring {
 public:
  explicit Ring(Context& ctx)
      : ctx_(ctx), group_(ctx.axes[Axis::cp].group), side_(ctx.axes[Axis::cp].side) {}

  int size() const { return group_ == nullptr ? 1 : group_->size(); }

  // The tokens of the block that is here after `steps` steps.
  TokenShare tokens_at(int steps) const {
    if (group_ == nullptr) return ctx_.tokens;
    return TokenShare::zigzag(ctx_.tokens.length, (rank() - steps + size()) % size(), size());
  }

  // `mine` to the next rank, `arriving` from the one before.
  void pass(const Tensor& mine, const Tensor& arriving) {
    messages_[count_++] = {P2P::Kind::send, (rank() + 1) % size(), mine};
    messages_[count_++] = {P2P::Kind::receive, (rank() + size() - 1) % size(), arriving};
  }
  void start() {
    const std::span<const P2P> messages(messages_.data(), count_);
    count_ = 0;
    if (side_ == nullptr) {
      group_->exchange(messages, ctx_.stream);
      return;
    }
    side_->follow(ctx_.stream);
    group_->exchange(messages, side_->stream());
    side_->stream().record(side_->gathered());
  }
  void finish() {
    if (side_ != nullptr) ctx_.stream.wait(side_->gathered());
  }

 private:
  int rank() const { return group_->rank(); }

  Context& ctx_;
  Communicator* group_;
  SideStream* side_;
  std::array<P2P, 4> messages_;
  size_t count_ = 0;
};

// Buffers for a block of keys and values, or their gradients: [B,T,2 * kv_heads * head_dim].
template <size_t kCount>
std::array<Tensor, kCount> make_blocks(const AttentionSpec& args, const Tensor& qkv, Context& ctx) {
  const Shape shape{qkv.shape()[0], qkv.shape()[1], 2 * args.kv_heads * args.head_dim};
  std::array<Tensor, kCount> blocks;
  for (Tensor& block : blocks) block = ctx.work.allocate(shape, qkv.dtype());
  return blocks;
}

}  // namespace

void ring_attention_forward(AttentionSpec args, const Tensor& qkv, const Tensor& out,
                            const Tensor& lse, Context& ctx) {
  Ring ring(ctx);
  args.keys = args.queries;
  if (ring.size() == 1) {
    ctx.ops(op::AttentionForward{.spec = args, .qkv = qkv, .kv = qkv, .out = out, .lse = lse},
            ctx.stream);
    return;
  }
  ArenaScope scope(ctx.work);
  const std::array<Tensor, 2> kv = make_blocks<2>(args, qkv, ctx);
  ctx.ops(op::CopyLastColumns{.from = qkv, .to = kv[0]}, ctx.stream);
  for (int step = 0; step < ring.size(); ++step) {
    const bool last = step + 1 == ring.size();
    const Tensor& here = kv[step % 2];
    if (!last) {
      ring.pass(here, kv[(step + 1) % 2]);
      ring.start();
    }
    args.keys = ring.tokens_at(step);
    args.merge = step > 0;
    ctx.ops(op::AttentionForward{.spec = args, .qkv = qkv, .kv = here, .out = out, .lse = lse},
            ctx.stream);
    if (!last) ring.finish();
  }
}

void ring_attention_backward(AttentionSpec args, const Tensor& dout, const Tensor& qkv,
                             const Tensor& out, const Tensor& lse, const Tensor& dqkv,
                             Context& ctx) {
  Ring ring(ctx);
  args.keys = args.queries;
  if (ring.size() == 1) {
    ctx.ops(op::AttentionBackward{.spec = args,
                                  .dout = dout,
                                  .qkv = qkv,
                                  .kv = qkv,
                                  .out = out,
                                  .lse = lse,
                                  .dqkv = dqkv,
                                  .dkv = dqkv},
            ctx.stream);
    return;
  }
  ArenaScope scope(ctx.work);
  const std::array<Tensor, 2> kv = make_blocks<2>(args, qkv, ctx);
  const std::array<Tensor, 2> dkv = make_blocks<2>(args, qkv, ctx);
  const Tensor arriving = make_blocks<1>(args, qkv, ctx)[0];
  ctx.ops(op::CopyLastColumns{.from = qkv, .to = kv[0]}, ctx.stream);
  for (int step = 0; step < ring.size(); ++step) {
    const Tensor& here = kv[step % 2];
    const Tensor& mine = dkv[step % 2];
    if (step + 1 < ring.size()) ring.pass(here, kv[(step + 1) % 2]);
    if (step > 0) ring.pass(dkv[(step - 1) % 2], arriving);
    ring.start();
    args.keys = ring.tokens_at(step);
    args.merge = step > 0;
    ctx.ops(op::AttentionBackward{.spec = args,
                                  .dout = dout,
                                  .qkv = qkv,
                                  .kv = here,
                                  .out = out,
                                  .lse = lse,
                                  .dqkv = dqkv,
                                  .dkv = mine},
            ctx.stream);
    ring.finish();
    if (step > 0) ctx.ops(op::Add{.a = mine, .b = arriving, .y = mine}, ctx.stream);
  }
  ring.pass(dkv[(ring.size() - 1) % 2], arriving);
  ring.start();
  ring.finish();
  ctx.ops(op::CopyLastColumns{.from = arriving, .to = dqkv}, ctx.stream);
}

}  // namespace weft
