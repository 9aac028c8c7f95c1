#include "core/ops/observed.h"

#include "core/ops/each_op.h"

namespace weft {
namespace {

class ObservedOps final : public RunsEach<ObservedOps> {
 public:
  ObservedOps(Ops& inner, OpObserver& observer) : inner_(inner), observer_(observer) {}

  WorkingMemory& working_memory() override { return inner_.working_memory(); }
  void reserve(size_t bytes) override { inner_.reserve(bytes); }
  size_t reserved() const override { return inner_.reserved(); }

  template <typename Op>
  void run_each(const Op& op, Stream& s) {
    const Cost cost = op.cost();
    observe({Op::kName.text, Op::kName.family, op.sizes(), cost.flops, cost.bytes}, s,
            [&] { inner_(op, s); });
  }

 private:
  template <typename Body>
  void observe(const OpCall& call, Stream& stream, const Body& body) {
    observer_.before(call, stream);
    body();
    observer_.after(call, stream);
  }

  Ops& inner_;
  OpObserver& observer_;
};

}  // namespace

std::unique_ptr<Ops> make_observed(Ops& inner, OpObserver& observer) {
  return std::make_unique<ObservedOps>(inner, observer);
}

}  // namespace weft
