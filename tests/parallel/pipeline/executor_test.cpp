// Every schedule carried out by ranks that are threads, with a computation whose results tell
// which messages went where.
#include "parallel/pipeline/executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/backends/backends.h"
#include "parallel/comm/bootstrap.h"
#include "parallel/pipeline/generators.h"
#include "parallel/pipeline/validate.h"

namespace weft {
namespace {

constexpr int64_t kElements = 5;

// A unit's output is its input times 3 plus the micro-batch's number at the first unit of the
// chain; backward multiplies the gradient by 5, starting with the micro-batch's number plus 1.
class ChainWork final : public StageWork {
 public:
  ChainWork(const Schedule& schedule, int stage, int slots, Device& device)
      : schedule_(schedule), stage_(stage), memory_("slots", device, kBytes) {
    for (int i = 0; i < slots; ++i) outputs_.push_back(memory_.allocate({kElements}, DType::f64));
  }

  Tensor forward(const Step& unit, int slot, const Tensor& in) override {
    const bool first = part(unit) == 0;
    EXPECT_EQ(in.empty(), first);
    // An output that a chunk of this stage handed over is still where it was.
    const std::optional<int> below = chunk_below(schedule_, stage_, unit.chunk);
    if (below) {
      EXPECT_EQ(in.raw(), handed_.at({unit.microbatch, *below}).raw());
    }
    EXPECT_TRUE(busy_.insert(slot).second || schedule_.forward_only) << "slot " << slot;
    double* out = outputs_[static_cast<size_t>(slot)].data<double>();
    for (int64_t i = 0; i < kElements; ++i) {
      out[i] = first ? unit.microbatch + static_cast<double>(i) : 3 * in.data<double>()[i];
    }
    if (!first) inputs_[{unit.microbatch, unit.chunk}] = in;
    sums_[{unit.microbatch, unit.chunk}].first = out[kElements - 1];
    handed_[{unit.microbatch, unit.chunk}] = outputs_[static_cast<size_t>(slot)];
    return is_last(unit) ? Tensor() : outputs_[static_cast<size_t>(slot)];
  }
  void backward(const Step& unit, int slot, const Tensor& grad) override {
    const auto in = inputs_.find({unit.microbatch, unit.chunk});
    if (in != inputs_.end()) {  // what was received is still there
      EXPECT_EQ(3 * in->second.data<double>()[kElements - 1],
                (sums_[{unit.microbatch, unit.chunk}].first));
    }
    double* g = grad.data<double>();
    for (int64_t i = 0; i < kElements; ++i) {
      g[i] = is_last(unit) ? unit.microbatch + 1 : 5 * g[i];
    }
    sums_[{unit.microbatch, unit.chunk}].second = g[0];
    if (!schedule_.split_backward) busy_.erase(slot);
  }
  void backward_weights(const Step&, int slot) override { busy_.erase(slot); }

  // The last element of the output and the first of the gradient, by unit.
  const std::map<std::pair<int, int>, std::pair<double, double>>& sums() const { return sums_; }

 private:
  static constexpr size_t kBytes = 1 << 16;
  bool is_last(const Step& unit) const { return part(unit) + 1 == schedule_.chain().parts(); }
  int part(const Step& unit) const { return schedule_.chain().part({stage_, unit.chunk}); }

  const Schedule& schedule_;
  int stage_;
  Arena memory_;
  std::vector<Tensor> outputs_;
  std::set<int> busy_;
  std::map<std::pair<int, int>, Tensor> inputs_, handed_;
  std::map<std::pair<int, int>, std::pair<double, double>> sums_;
};

double power(double base, int exponent) {
  double p = 1;
  while (exponent-- > 0) p *= base;
  return p;
}

void run_on_all_stages(const Schedule& schedule, int times) {
  const int stages = schedule.stage_count();
  run_local_ranks(stages, [&](Bootstrap& bootstrap) {
    const auto device = make_device({.threads = 1});
    const auto compute = device->make_stream(StreamKind::compute);
    Mesh mesh(bootstrap, {.pp = stages}, {}, schedule.shape);
    const int stage = mesh.coord().pp;
    const StagePlan plan = make_stage_plan(schedule, stage);
    PipelineExecutor executor(mesh, *device, *compute);
    Arena arena("communication", *device, 1 << 16);
    executor.allocate(arena, plan, {kElements}, DType::f64);
    ChainWork work(schedule, stage, plan.slots, *device);
    for (int i = 0; i < times; ++i) executor.run(plan, work);
    executor.synchronize();
    const int last = stages * schedule.chunks - 1;
    for (const auto& [unit, sums] : work.sums()) {
      const int position = schedule.chain().part({stage, unit.second});
      EXPECT_EQ(sums.first, (unit.first + static_cast<double>(kElements - 1)) * power(3, position));
      if (schedule.forward_only) continue;
      EXPECT_EQ(sums.second, (unit.first + 1) * power(5, last - position));
    }
    EXPECT_EQ(work.sums().size(),
              static_cast<size_t>(schedule.microbatches) * static_cast<size_t>(schedule.chunks));
    bootstrap.barrier();
  });
}

class Executor : public ::testing::TestWithParam<ScheduleKind> {};

TEST_P(Executor, MovesEveryMessageToItsUnit) {
  const int chunks = traits(GetParam()).min_chunks;
  for (int stages = 1; stages <= 5; ++stages) {
    for (int microbatches = stages; microbatches <= 3 * stages; microbatches += stages) {
      SCOPED_TRACE(testing::Message() << stages << " stages, " << microbatches);
      run_on_all_stages(make_schedule(GetParam(), {stages, microbatches, chunks}), 2);
    }
  }
}

TEST_P(Executor, PlansAsManySlotsAsUnitsAreHeld) {
  const int chunks = std::min(3, traits(GetParam()).max_chunks);
  const Schedule schedule = make_schedule(GetParam(), {4, 8, chunks});
  for (int stage = 0; stage < 4; ++stage) {
    const StagePlan plan = make_stage_plan(schedule, stage);
    const int held = peak_in_flight(schedule)[static_cast<size_t>(stage)].held;
    EXPECT_EQ(plan.slots, held);
    EXPECT_LE(plan.inputs, held + 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Schedules, Executor, ::testing::ValuesIn(schedule_kinds()),
                         [](const auto& test) {
                           std::string text(name(test.param));
                           std::erase_if(text, [](char c) { return c == '-'; });
                           return text;
                         });

TEST(Executor, EvaluatesAnyNumberOfMicroBatches) {
  for (int stages = 1; stages <= 4; ++stages) {
    for (const Chain& chain : {Chain{stages, 1}, Chain{stages, 2}, Chain{stages, 3},
                               Chain{stages, 2, ChainShape::v}, Chain{stages, 3, ChainShape::v}}) {
      for (int microbatches = 1; microbatches <= 7; ++microbatches) {
        SCOPED_TRACE(testing::Message() << stages << " x " << chain.chunks << ", " << microbatches);
        run_on_all_stages(make_forward_schedule(chain, microbatches), 2);
      }
    }
  }
}

}  // namespace
}  // namespace weft
