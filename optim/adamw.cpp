#include "optim/adamw.h"

namespace weft {
namespace {

ElementMap elements_of(const Region& r) {
  if (r.extent.rank() != 2) return {r.offset[0], r.extent.elements(), r.extent.elements()};
  const int64_t stride = r.tensor_shape[1];
  return {r.offset[0] * stride + r.offset[1], r.extent[1], stride};
}

}  // namespace

void AdamW::allocate(Arena& arena) {
  states_.clear();
  pieces_.clear();
  groups_.clear();
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& p = parameters_[i];
    const Tensor exp_avg = arena.allocate({p.own.size()}, config_.state_type());
    states_.push_back({exp_avg, arena.allocate({p.own.size()}, config_.state_type())});
    pieces_.push_back(pieces_of(p));
    add_to_groups(i);
  }
}

void AdamW::add_to_groups(size_t index) {
  const Parameter& p = parameters_[index];
  if (groups_.empty() || parameters_[groups_.back().begin].unit != p.unit) {
    groups_.push_back({index, index, {}});
  }
  Group& group = groups_.back();
  group.end = index + 1;
  for (const Piece& piece : pieces_[index]) {
    const auto part = [&](const Tensor& own) { return own.slice(piece.begin, piece.end); };
    group.tensors.push_back({.weight = part(p.own_master),
                             .grad = part(p.own_grad),
                             .exp_avg = part(states_[index].exp_avg),
                             .exp_avg_sq = part(states_[index].exp_avg_sq),
                             .rounded = parameters_.has_masters() ? part(p.own_value) : Tensor(),
                             .weight_decay = p.spec.decay ? config_.weight_decay : 0.0,
                             .rounding = piece.rounding});
  }
}

bool AdamW::stochastic(const Parameter& p) const {
  return config_.stochastic_rounding &&
         (config_.state_type() == DType::bf16 || p.own_value.dtype() == DType::bf16);
}

// Random numbers go by the logical tensor and its own elements; without them one piece is enough.
std::vector<AdamW::Piece> AdamW::pieces_of(const Parameter& p) const {
  if (p.own.size() == 0 || p.frozen) return {};
  if (!stochastic(p)) return {{0, p.own.size(), {}}};
  std::vector<Piece> pieces;
  const std::vector<Region> held = regions(p.spec, parameters_.mesh(), parameters_.coord());
  for (const Region& r : clip(held, p.own)) {
    const int64_t begin = r.local_begin - p.own.begin;
    pieces.push_back({begin,
                      begin + r.extent.elements(),
                      {.seed = seed_,
                       .weight = stream_of(r.tensor + ".rounded"),
                       .exp_avg = stream_of(r.tensor + ".exp_avg"),
                       .exp_avg_sq = stream_of(r.tensor + ".exp_avg_sq"),
                       .elements = elements_of(r)}});
  }
  return pieces;
}

void AdamW::step(double lr, const Tensor& clip, const Tensor& update, Ops& ops, Stream& stream,
                 UpdateListener* listener) {
  for (const Group& group : groups_) {
    if (!group.tensors.empty()) {
      ops.adamw({.grad_scale = clip,
                 .update = update,
                 .lr = lr,
                 .beta1 = config_.beta1,
                 .beta2 = config_.beta2,
                 .eps = config_.eps,
                 .stochastic = stochastic(parameters_[group.begin])},
                group.tensors, stream);
    }
    if (listener == nullptr) continue;
    for (size_t i = group.begin; i < group.end; ++i)
      listener->value_updated(parameters_[i], stream);
  }
}

void AdamW::round_weights(int64_t update, Ops& ops, Stream& stream, UpdateListener* listener) {
  if (!parameters_.has_masters()) return;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& p = parameters_[i];
    const bool at_random =
        update > 0 && !p.frozen && stochastic(p) && p.own_value.dtype() == DType::bf16;
    if (!at_random && p.own.size() > 0) ops.copy(p.own_master, p.own_value, stream);
    for (const Piece& piece : pieces_[i]) {
      if (!at_random) break;
      ops.copy_stochastic(
          p.own_master.slice(piece.begin, piece.end), p.own_value.slice(piece.begin, piece.end),
          {piece.rounding.seed, piece.rounding.weight, static_cast<uint32_t>(update)},
          piece.rounding.elements, stream);
    }
    if (listener != nullptr) listener->value_updated(p, stream);
  }
}

}  // namespace weft
