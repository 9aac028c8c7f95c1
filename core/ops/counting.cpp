// Ops that check shapes and count working memory: planning runs the step over counting arenas with
// them.
#include <algorithm>

#include "core/ops/each_op.h"

namespace weft {
namespace {

class CountingOps final : public RunsEach<CountingOps> {
 public:
  explicit CountingOps(WorkingMemory& needs)
      : needs_(needs), reserved_(in_working_memory_units(needs.always())) {}

  WorkingMemory& working_memory() override { return needs_; }
  void reserve(size_t bytes) override { reserved_ = std::max(reserved_, bytes); }
  size_t reserved() const override { return reserved_; }

  template <typename Op>
  void run_each(const Op& op, Stream&) {
    if constexpr (requires { needs_.bytes(op); }) count(needs_.bytes(op));
  }

 private:
  void count(size_t bytes) {
    reserved_ = std::max(reserved_,
                         in_working_memory_units(needs_.always()) + in_working_memory_units(bytes));
  }

  WorkingMemory& needs_;
  size_t reserved_;
};

}  // namespace

std::unique_ptr<Ops> make_counting_ops(WorkingMemory& needs) {
  return std::make_unique<CountingOps>(needs);
}

}  // namespace weft
