// An Ops that tells an observer of every operation, before and after it is enqueued: for timing and
// tracing. Whoever does not ask for one pays nothing.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "core/ops/ops.h"

namespace weft {

enum class OpFamily { matmul, attention, norm, embedding, loss, elementwise, optimizer };
constexpr std::array<std::string_view, 7> kOpFamilies{
    "matmul", "attention", "norm", "embedding", "loss", "elementwise", "optimizer"};
constexpr std::string_view name(OpFamily family) {
  return kOpFamilies[static_cast<size_t>(family)];
}

struct OpCall {
  std::string_view name;  // of the function in Ops
  OpFamily family;
  std::array<Tensor, 3> tensors;  // those that say how large it is; the rest is empty
  // Of matrix products and attention: what the result is made of, without what is computed again or
  // hidden by the mask.
  double flops = 0;
  // Of all else: its tensors read and written, each once.
  double bytes = 0;
};
// The tensors of a call, for people.
std::string shapes_of(const OpCall& call);

class OpObserver {
 public:
  virtual ~OpObserver() = default;
  virtual void before(const OpCall& call, Stream& stream) = 0;
  virtual void after(const OpCall& call, Stream& stream) = 0;
};

// Passes every operation on to `inner`; both arguments must outlive the result.
std::unique_ptr<Ops> make_observed(Ops& inner, OpObserver& observer);

}  // namespace weft
