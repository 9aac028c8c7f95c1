// The case table has a row of every operation in the list: nobody adds one without.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/backends/backends.h"
#include "tests/core/ops/op_case.h"

namespace weft::cases {
namespace {

template <typename... Op>
std::vector<OpName> names_of(Types<Op...>) {
  return {Op::kName...};
}

class Names final : public OpObserver {
 public:
  void before(const OpCall& call, Stream&) override { all.emplace(call.name); }
  void after(const OpCall&, Stream&) override {}
  std::set<std::string> all;
};

// What forward of a row calls, and of what its backward calls the backward operations: the rest
// there helps.
TEST(OpTable, HasARowOfEveryOperation) {
  const auto device = make_device({.threads = 1});
  const auto stream = device->make_stream(StreamKind::compute);
  const auto needs = make_working_memory({.threads = 1});
  const auto ops = make_counting_ops(*needs);
  std::set<std::string> rows;
  for (const OpCase& c : all_cases()) {
    if (c.perf) continue;
    Names forward, backward;
    cases::Run run = make_run(c, *ops, *device, *stream, DType::f32, make_inputs(c, 1), true);
    ops->observe(&forward);
    c.forward(run);
    ops->observe(&backward);
    if (c.backward) c.backward(run);
    ops->observe(nullptr);
    rows.merge(forward.all);
    for (const std::string& name : backward.all) {
      if (name.ends_with("_backward")) rows.insert(name);
    }
  }
  for (const OpName& op : names_of(AllOps())) {
    EXPECT_TRUE(rows.contains(std::string(op.text))) << op.text << " has no row in the case table";
  }
}

}  // namespace
}  // namespace weft::cases
