#include "parallel/pipeline/shared_gradients.h"

#include <array>

namespace weft {

void SharedGradients::allocate(Arena& arena) {
  shared_.clear();
  for (const auto& p : parameters_) {
    if (p->spec.stages.size() < 2) continue;
    WEFT_CHECK(p->spec.stages.size() == 2, "{} is held by {} stages", p->spec.name,
               p->spec.stages.size());
    shared_.push_back({p.get(), arena.allocate(p->own_grad.shape(), p->own_grad.dtype())});
  }
}

void SharedGradients::sum(Mesh& mesh, Ops& ops, Stream& stream) {
  for (const Shared& s : shared_) {
    const std::vector<int>& stages = s.parameter->spec.stages;
    const int peer = stages[0] == mesh.coord().pp ? stages[1] : stages[0];
    const Tensor& grad = s.parameter->own_grad;
    if (grad.elements() == 0) continue;  // on both stages
    const std::array<P2P, 2> messages{
        {{P2P::Kind::send, peer, grad}, {P2P::Kind::receive, peer, s.other}}};
    mesh.axis(Axis::pp).exchange(messages, stream);
    ops(op::Add{.a = grad, .b = s.other, .y = grad}, stream);
  }
}

}  // namespace weft
