#include "core/model/gpt.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "core/mesh/upload.h"
#include "core/model/gpt_specs.h"

namespace weft {
namespace {

// Registers the parameters of the whole model. Where a stage uses one in two units, the set may
// want an accumulator for each. Two chunks need them: they take their micro-batches in turns of
// their own, and each adds them up in order, as where the units lie on two stages.
void register_parameters(const GptConfig& config, const GptPartition& partition,
                         ParameterSet& set) {
  std::vector<std::pair<Parameter*, int64_t>> again;
  for (ParamSpec& spec : gpt_specs(config)) {
    std::vector<int64_t> here;
    std::set<int> chunks;
    for (const int64_t unit : spec.units) {
      const auto [stage, chunk] = partition.place_of_unit(unit);
      if (std::ranges::find(spec.stages, stage) == spec.stages.end()) spec.stages.push_back(stage);
      if (stage != set.coord().pp) continue;
      here.push_back(unit);
      chunks.insert(chunk);
    }
    Parameter* p = set.add(std::move(spec));
    if (p == nullptr) continue;
    p->unit = here.front();
    if (chunks.size() > 1 || (here.size() > 1 && set.sharding().separates_aliases())) {
      again.emplace_back(p, here.back());
    } else {
      p->uses = std::ssize(here);
    }
  }
  for (const auto& [parameter, unit] : again) set.add_alias(*parameter, unit);
}

}  // namespace

Gpt::Gpt(const GptConfig& config, const GptPartition& partition, ParameterSet& set)
    : config_(config) {
  WEFT_CHECK(partition.head_unit() == head_unit(), "a partition of {} blocks for {} layers",
             partition.head_unit() - 1, config.layers);
  register_parameters(config, partition, set);
  for (int chunk = 0; chunk < partition.chain().chunks; ++chunk) {
    const GptPart& part = partition.part(set.coord().pp, chunk);
    chunks_.push_back({part, blocks_.size()});
    if (part.embeds) embedding_.emplace(set, "wte", "wpe", config.dropout);
    for (int64_t i = part.first_block; i < part.end_block; ++i) {
      blocks_.emplace_back(config, i, set);
    }
    if (!part.has_head) continue;
    final_norm_.emplace(set, "ln_f", config.norm_eps);
    head_.emplace(set.at(config.tied_head ? "wte.weight" : "lm_head.weight", head_unit()));
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
  ctx.ops(op::Add{.a = residual.x, .b = residual.delta, .y = out}, ctx.stream);
  return out;
}

Tensor Gpt::forward(int chunk, const MicroBatch& batch, const Tensor& in, Saved& saved,
                    Context& ctx) {
  const Chunk& c = chunks_[static_cast<size_t>(chunk)];
  const Tensor out = run(c, batch.tokens, in, saved, ctx);
  return c.part.has_head ? Tensor() : out;
}

void Gpt::backward(int chunk, const MicroBatch& batch, const Tensor& grad, Saved& saved,
                   Context& ctx) {
  const Chunk& c = chunks_[static_cast<size_t>(chunk)];
  if (c.part.has_head) {
    ArenaScope scope(ctx.work);
    ctx.before_unit(head_unit(), Pass::backward);
    const Norm::Output hidden = final_norm_->pop(saved, ctx);
    const Tensor dhidden = ctx.work.allocate(hidden.y.shape(), ctx.dtype);
    head_->backward(hidden.y, batch.targets, batch.grad_scale, batch.loss_sum, dhidden, ctx);
    ctx.ops(op::Fill{.x = grad, .value = 0}, ctx.stream);
    final_norm_->backward(hidden, dhidden, grad, ctx);
  }
  if (!ctx.defer_weights) saved.end_frame();
  for (size_t i = c.blocks(); i-- > 0;) {
    ctx.before_unit(unit_of(c, i), Pass::backward);
    blocks_[c.first + i].backward(grad, saved, ctx);
    if (!ctx.defer_weights) saved.end_frame();
  }
  if (c.part.embeds) {
    ctx.before_unit(0, Pass::backward);
    embedding_->backward(batch.tokens, grad, ctx);
  }
  if (!ctx.defer_weights) saved.end_frame();
}

void Gpt::backward_weights(int chunk, Saved& saved, Context& ctx) {
  const Chunk& c = chunks_[static_cast<size_t>(chunk)];
  for (size_t i = c.blocks(); i-- > 0;) blocks_[c.first + i].backward_weights(saved, ctx);
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

}  // namespace weft
