#include "optim/muon.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/tensor/arena.h"
#include "optim/weight_rounding.h"

namespace weft {
namespace {

int64_t blocks(int64_t elements) { return (elements + kNormBlock - 1) / kNormBlock; }

// The dim that tensor parallelism cuts; -1: none.
int cut_dim(const ParamSpec& spec, const MeshShape& mesh) {
  if (mesh.tp == 1) return -1;
  for (const Split& split : spec.place.splits) {
    if (split.axis == Axis::tp) return split.dim;
  }
  return -1;
}

}  // namespace

double Muon::scale(OptimizerConfig::UpdateScale rule, const Shape& matrix) {
  const auto rows = static_cast<double>(matrix[0]), columns = static_cast<double>(matrix[1]);
  return rule == OptimizerConfig::UpdateScale::match_rms ? 0.2 * std::sqrt(std::max(rows, columns))
                                                         : std::sqrt(std::max(1.0, rows / columns));
}

void Muon::allocate(Arena& states, Arena& work) {
  states_.assign(parameters_.size(), {});
  units_.clear();
  for (Parameter* p : members_) {
    states_[p->index] = {kMomentum, states.allocate({p->own.size()}, config_.state_type())};
    if (units_.empty() || units_.back().members.front()->unit != p->unit) units_.emplace_back();
    add(*p, units_.back());
  }
  allocate_work(work);
}

void Muon::add(Parameter& p, Unit& unit) const {
  unit.members.push_back(&p);
  unit.stochastic = rounds_at_random(config_, p);
  if (p.own.size() == 0 || p.frozen) return;
  WEFT_CHECK(p.own.size() == p.local.elements(), "{} of {} elements of {}", p.own.size(),
             p.local.elements(), p.spec.name);
  const MeshShape& mesh = parameters_.mesh();
  MeshCoord first = parameters_.coord();
  first.tp = 0;  // which has the largest part
  const std::vector<Region> held = regions(p.spec, mesh, parameters_.coord());
  const std::vector<Region> largest = regions(p.spec, mesh, first);
  const int cut = cut_dim(p.spec, mesh);
  for (size_t i = 0; i < held.size(); ++i) {
    const Region& r = held[i];
    const int64_t rows = r.extent[0], columns = r.extent[1];
    const auto part = [&](const Tensor& own) {
      return own.slice(r.local_begin, r.local_begin + r.extent.elements());
    };
    const StochasticRounding rounding{
        .seed = seed_,
        .weight = stream_of(r.tensor + "." + std::string(kRoundedWeight)),
        .exp_avg = stream_of(r.tensor + "." + std::string(kMomentum)),
        .elements = elements_of(r)};
    const Tensor grad = part(p.own_grad);
    unit.momenta.push_back(
        {.grad = grad, .momentum = part(states_[p.index].own), .rounding = rounding});
    unit.matrices.push_back(
        {.rows = rows,
         .columns = columns,
         .of_rows = cut == -1 ? rows <= columns : cut == 1,
         .ranks = cut == -1 ? 1 : mesh.tp,
         .blocks = blocks(largest[i].extent.elements()),
         .direction = grad,
         .descent = {.weight = part(p.own_master),
                     .grad = grad,
                     .direction = {},
                     .rounded = parameters_.has_masters() ? part(p.own_value) : Tensor(),
                     .scale = scale(config_.update_scale, r.tensor_shape),
                     .weight_decay = p.spec.decay ? config_.weight_decay : 0.0,
                     .rounding = rounding}});
  }
}

void Muon::allocate_work(Arena& arena) {
  int64_t elements = 0, side = 0, sums = 0;
  DType type = DType::f32;
  for (const Unit& unit : units_) {
    type = unit.members.front()->value.dtype();
    for (const Matrix& m : unit.matrices) {
      elements = std::max(elements, m.rows * m.columns);
      side = std::max(side, m.side());
      sums = std::max(sums, m.ranks * m.blocks);
    }
  }
  const auto room = [&](int64_t count, DType dtype) { return arena.allocate({count}, dtype); };
  work_ = {.x = room(elements, type),
           .y = room(elements, type),
           .gram = room(side * side, type),
           .factor = room(side * side, type),
           .square = room(side * side, accumulator(type)),
           .squares = room(sums, DType::f64)};
}

void Muon::step(const UpdateInputs& inputs, Ops& ops, Stream& stream, UpdateListener* listener) {
  for (const Unit& unit : units_) {
    if (!unit.momenta.empty()) {
      ops(op::Momentum{.tensors = unit.momenta,
                       .grad_scale = inputs.clip,
                       .update = inputs.update,
                       .decay = config_.momentum,
                       .take = 1 - config_.momentum,
                       .nesterov = config_.nesterov,
                       .stochastic = unit.stochastic},
          stream);
    }
    for (const Matrix& matrix : unit.matrices) {
      DescentTensor descent = matrix.descent;
      descent.direction = orthogonalize(matrix, inputs.tensor, ops, stream);
      ops(op::Descend{.tensors = {&descent, 1},
                      .update = inputs.update,
                      .lr = inputs.lr,
                      .stochastic = unit.stochastic},
          stream);
    }
    if (listener == nullptr) continue;
    for (const Parameter* p : unit.members) listener->value_updated(*p, stream);
  }
}

// Each rank's sums of squares go to slots of its own; adding zeros to them is exact.
void Muon::normalize(const Matrix& m, Communicator* tensor, const Tensor& to, Ops& ops,
                     Stream& stream) const {
  const Tensor all = work_.squares.slice(0, m.ranks * m.blocks);
  const int64_t begin = m.ranks > 1 ? tensor->rank() * m.blocks : 0;
  const BlockSquares own{m.direction, all.slice(begin, begin + blocks(m.direction.elements()))};
  if (m.ranks > 1) ops(op::Fill{.x = all}, stream);
  ops(op::SumSquares{.tensors = {&own, 1}}, stream);
  if (m.ranks > 1) tensor->all_reduce(all, ReduceOp::sum, stream);
  ops(op::Normalize{.x = m.direction, .partials = all, .y = to, .eps = kEps}, stream);
}

Tensor Muon::orthogonalize(const Matrix& m, Communicator* tensor, Ops& ops, Stream& stream) const {
  const Shape shape{m.rows, m.columns}, square{m.side(), m.side()};
  const auto window = [](const Tensor& room, const Shape& s) {
    return room.slice(0, s.elements()).view(s);
  };
  Tensor x = window(work_.x, shape), next = window(work_.y, shape);
  const Tensor gram = window(work_.gram, square), factor = window(work_.factor, square);
  const Tensor gram_squared = window(work_.square, square);
  normalize(m, tensor, x.view({m.rows * m.columns}), ops, stream);
  const auto [a, b, c] = kCoefficients;
  for (int i = 0; i < kIterations; ++i) {
    ops(op::Matmul{.a = x, .b = x, .c = gram, .transpose_a = !m.of_rows, .transpose_b = m.of_rows},
        stream);
    if (m.ranks > 1) tensor->all_reduce(gram, ReduceOp::sum, stream);
    ops(op::Matmul{.a = gram, .b = gram, .c = gram_squared}, stream);
    ops(op::Polynomial{.x = gram, .square = gram_squared, .y = factor, .a = a, .b = b, .c = c},
        stream);
    ops(op::Matmul{.a = m.of_rows ? factor : x, .b = m.of_rows ? x : factor, .c = next}, stream);
    std::swap(x, next);
  }
  return x.view({m.rows * m.columns});
}

}  // namespace weft
