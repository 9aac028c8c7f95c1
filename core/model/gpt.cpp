#include "core/model/gpt.h"

#include <cmath>

#include "core/mesh/upload.h"

namespace weft {
namespace {

Activation activation_of(GptConfig::Activation a) {
  switch (a) {
    case GptConfig::Activation::gelu_tanh:
      return Activation::gelu_tanh;
    case GptConfig::Activation::gelu:
      return Activation::gelu;
    case GptConfig::Activation::relu:
      return Activation::relu;
  }
  return Activation::none;
}

Block make_block(const GptConfig& c, const GptParameters::Layer& l, int64_t index) {
  const std::string h = "h." + std::to_string(index);
  // A rank's heads are those whose projection it holds.
  const int64_t heads = l.projection_weight->local[1] / c.head_dim();
  const AttentionShape shape{.heads = heads,
                             .kv_heads = heads,
                             .head_dim = c.head_dim(),
                             .first_head = l.qkv_weight->first_row / c.head_dim(),
                             .global_heads = c.heads};
  return Block(Norm(*l.norm_1_weight, l.norm_1_bias, c.norm_eps),
               Attention(shape, Linear(*l.qkv_weight, l.qkv_bias),
                         Linear(*l.projection_weight, l.projection_bias), c.dropout, h + ".attn"),
               Norm(*l.norm_2_weight, l.norm_2_bias, c.norm_eps),
               Mlp(Linear(*l.up_weight, l.up_bias), Linear(*l.down_weight, l.down_bias),
                   activation_of(c.activation), c.dropout, h + ".mlp"));
}

void tell(GradientListener* listener, std::initializer_list<Parameter*> parameters,
          Stream& stream) {
  if (listener == nullptr) return;
  for (Parameter* p : parameters) {
    if (p != nullptr) listener->gradient_ready(*p, stream);
  }
}

}  // namespace

Gpt::Gpt(const GptConfig& config, const PlacementRule& rule, const GptPartition& partition,
         ParameterSet& set)
    : config_(config), parameters_(config, rule, partition, set) {
  for (int chunk = 0; chunk < partition.chunks(); ++chunk) {
    const GptPart& part = partition.part(set.coord().pp, chunk);
    chunks_.push_back({part, blocks_.size()});
    if (part.embeds) embedding_.emplace(*parameters_.tokens, parameters_.positions, config.dropout);
    for (int64_t i = part.first_block; i < part.end_block; ++i) {
      blocks_.push_back(make_block(config, parameters_.layers[static_cast<size_t>(i)], i));
    }
    if (!part.has_head) continue;
    final_norm_.emplace(*parameters_.final_norm_weight, parameters_.final_norm_bias,
                        config.norm_eps);
    head_.emplace(*parameters_.head);
  }
}

void Gpt::allocate_constants(Arena& arena, DType dtype, Device& device, Stream& stream) {
  if (config_.position != GptConfig::Position::sinusoidal || !embedding_) return;
  const int64_t width = config_.width;
  fixed_positions_ = arena.allocate({config_.context_length, width}, dtype);
  if (arena.counting() || !device.has_memory()) return;
  std::vector<double> f64(static_cast<size_t>(fixed_positions_.elements()));
  for (int64_t t = 0; t < config_.context_length; ++t) {
    for (int64_t c = 0; c < width; ++c) {
      const double exponent = static_cast<double>(c / 2 * 2) / static_cast<double>(width);
      const double angle = static_cast<double>(t) / std::pow(10000.0, exponent);
      f64[static_cast<size_t>(t * width + c)] = c % 2 == 0 ? std::sin(angle) : std::cos(angle);
    }
  }
  upload(f64, fixed_positions_, device, stream);
}

Residual Gpt::embed(const Tensor& tokens, int64_t first_position, Saved& saved, Context& ctx) {
  const Shape shape{ctx.shared_rows(), config_.width};
  Residual residual{saved.allocate(shape, ctx.dtype), ctx.work.allocate(shape, ctx.dtype)};
  embedding_->forward(tokens, fixed_positions_, first_position, residual.x, ctx);
  return residual;
}

Tensor Gpt::run(const Chunk& chunk, const Tensor& tokens, const Tensor& in, Saved& saved,
                Context& ctx) {
  ArenaScope scope(ctx.work);
  saved.begin_frame();
  if (chunk.part.embeds) ctx.before_unit(0, Pass::forward);
  Residual residual = chunk.part.embeds ? embed(tokens, 0, saved, ctx)
                                        : Residual{in, ctx.work.allocate(in.shape(), in.dtype())};
  for (size_t i = 0; i < chunk.blocks(); ++i) {
    saved.begin_frame();
    ctx.before_unit(unit_of(chunk, i), Pass::forward);
    residual = blocks_[chunk.first + i].forward(residual, saved, ctx);
  }
  saved.begin_frame();
  if (chunk.part.has_head) {
    ctx.before_unit(head_unit(), Pass::forward);
    const Norm::Output hidden =
        final_norm_->forward(residual.x, residual.pending_delta(), true, saved, ctx);
    final_norm_->push(hidden, true, saved);
    return hidden.y;
  }
  if (!residual.pending) return residual.x;
  const Tensor out = saved.allocate(residual.x.shape(), residual.x.dtype());
  ctx.ops.add(residual.x, residual.delta, out, ctx.stream);
  return out;
}

Tensor Gpt::forward(int chunk, const MicroBatch& batch, const Tensor& in, Saved& saved,
                    Context& ctx) {
  const Chunk& c = chunks_[static_cast<size_t>(chunk)];
  const Tensor out = run(c, batch.tokens, in, saved, ctx);
  return c.part.has_head ? Tensor() : out;
}

void Gpt::backward(int chunk, const MicroBatch& batch, const Tensor& grad, Saved& saved,
                   Context& ctx, GradientListener* listener) {
  const Chunk& c = chunks_[static_cast<size_t>(chunk)];
  const GptParameters& p = parameters_;
  if (c.part.has_head) {
    ArenaScope scope(ctx.work);
    ctx.before_unit(head_unit(), Pass::backward);
    const Norm::Output hidden = final_norm_->pop(saved, ctx);
    const Tensor dhidden = ctx.work.allocate(hidden.y.shape(), ctx.dtype);
    head_->backward(hidden.y, batch.targets, batch.grad_scale, batch.loss_sum, dhidden, ctx);
    // A tied table that is embedded here too gets its other share at the end.
    if (p.head != p.tokens || !embedding_) tell(listener, {p.head}, ctx.stream);
    ctx.ops.fill(grad, 0, ctx.stream);
    final_norm_->backward(hidden, dhidden, grad, ctx);
    tell(listener, {p.final_norm_bias, p.final_norm_weight}, ctx.stream);
  }
  if (!ctx.defer_weights) saved.end_frame();
  for (size_t i = c.blocks(); i-- > 0;) {
    ctx.before_unit(unit_of(c, i), Pass::backward);
    blocks_[c.first + i].backward(grad, saved, ctx);
    const GptParameters::Layer& l = p.layers[static_cast<size_t>(c.part.first_block) + i];
    if (ctx.defer_weights) {
      tell(listener, {l.norm_2_bias, l.norm_2_weight, l.norm_1_bias, l.norm_1_weight}, ctx.stream);
      continue;
    }
    saved.end_frame();
    tell(listener,
         {l.down_bias, l.down_weight, l.up_bias, l.up_weight, l.norm_2_bias, l.norm_2_weight,
          l.projection_bias, l.projection_weight, l.qkv_bias, l.qkv_weight, l.norm_1_bias,
          l.norm_1_weight},
         ctx.stream);
  }
  if (c.part.embeds) {
    ctx.before_unit(0, Pass::backward);
    embedding_->backward(batch.tokens, grad, ctx);
    tell(listener, {p.positions, p.tokens}, ctx.stream);
  }
  if (!ctx.defer_weights) saved.end_frame();
}

void Gpt::backward_weights(int chunk, Saved& saved, Context& ctx, GradientListener* listener) {
  const Chunk& c = chunks_[static_cast<size_t>(chunk)];
  for (size_t i = c.blocks(); i-- > 0;) {
    blocks_[c.first + i].backward_weights(saved, ctx);
    const GptParameters::Layer& l = parameters_.layers[static_cast<size_t>(c.part.first_block) + i];
    tell(listener,
         {l.down_bias, l.down_weight, l.up_bias, l.up_weight, l.projection_bias,
          l.projection_weight, l.qkv_bias, l.qkv_weight},
         ctx.stream);
  }
  saved.clear();
}

Tensor Gpt::evaluate(int chunk, const MicroBatch& batch, const Tensor& in, Saved& saved,
                     Context& ctx) {
  const Chunk& c = chunks_[static_cast<size_t>(chunk)];
  Tensor out = run(c, batch.tokens, in, saved, ctx);
  if (c.part.has_head) {
    head_->loss(out, batch.targets, batch.loss_sum, ctx);
    out = Tensor();
  }
  saved.clear();
  return out;
}

void Gpt::last_row_logits(const Tensor& hidden, const Tensor& logits, Context& ctx) {
  const int64_t rows = hidden.shape().rows();
  head_->logits(hidden.view({rows, config_.width}).slice(rows - 1, rows), logits, ctx);
}

void Gpt::decode(const Tensor& tokens, int64_t past, std::span<const KvCache> caches,
                 const Tensor& logits, Saved& saved, Context& ctx) {
  ArenaScope scope(ctx.work);
  saved.begin_frame();
  Residual residual = embed(tokens, past, saved, ctx);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    residual = blocks_[i].decode(residual, past, caches[i], saved, ctx);
  }
  const Tensor hidden =
      final_norm_->forward(residual.x, residual.pending_delta(), true, saved, ctx).y;
  last_row_logits(hidden, logits, ctx);
  saved.clear();
}

void Gpt::last_logits(const Tensor& tokens, const Tensor& logits, Saved& saved, Context& ctx) {
  last_row_logits(run(chunks_.front(), tokens, {}, saved, ctx), logits, ctx);
  saved.clear();
}

int64_t Gpt::saved_bytes(int chunk, const ActivationSizes& sizes) const {
  const Chunk& c = chunks_[static_cast<size_t>(chunk)];
  const auto residual =
      static_cast<int64_t>(Arena::taken(sizes.shared_rows * config_.width, sizes.dtype));
  int64_t bytes = c.part.embeds ? residual : 0;
  bool pending = false;
  for (size_t i = 0; i < c.blocks(); ++i) {
    bytes += blocks_[c.first + i].saved_bytes(sizes, pending);
    pending = sizes.recompute != Recompute::full;
  }
  if (c.part.has_head) return bytes + final_norm_->saved_bytes(sizes, pending, true);
  return bytes + (pending ? residual : 0);
}

double Gpt::flops_per_token(int64_t sequence_length) const {
  int64_t n = parameter_count(config_);
  if (config_.position == GptConfig::Position::learned) n -= config_.context_length * config_.width;
  // An untied token table is looked up, not multiplied.
  if (!config_.tied_head) n -= *config_.vocab_size * config_.width;
  return 6.0 * static_cast<double>(n) +
         12.0 * static_cast<double>(config_.layers * config_.width * sequence_length);
}

}  // namespace weft
