// Every schedule carried out by ranks that are threads, with a computation whose results tell
// which messages went where.
#include "parallel/pipeline/executor.h"

#include <gtest/gtest.h>

#include <map>
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
    const bool first = stage_ == 0 && unit.chunk == 0;
    EXPECT_EQ(in.empty(), first);
    EXPECT_TRUE(busy_.insert(slot).second || schedule_.forward_only) << "slot " << slot;
    double* out = outputs_[static_cast<size_t>(slot)].data<double>();
    for (int64_t i = 0; i < kElements; ++i) {
      out[i] = first ? unit.microbatch + static_cast<double>(i) : 3 * in.data<double>()[i];
    }
    if (!first) inputs_[{unit.microbatch, unit.chunk}] = in;
    sums_[{unit.microbatch, unit.chunk}].first = out[kElements - 1];
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
  bool is_last(const Step& unit) const {
    return stage_ + 1 == schedule_.stage_count() && unit.chunk + 1 == schedule_.chunks;
  }

  const Schedule& schedule_;
  int stage_;
  Arena memory_;
  std::vector<Tensor> outputs_;
  std::set<int> busy_;
  std::map<std::pair<int, int>, Tensor> inputs_;
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
    Mesh mesh(bootstrap, {.pp = stages});
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
      const int position = unit.second * stages + stage;
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
  const int chunks = GetParam() == ScheduleKind::interleaved_1f1b ? 2 : 1;
  for (int stages = 1; stages <= 5; ++stages) {
    if (stages == 1 && chunks > 1) continue;
    for (int microbatches = stages; microbatches <= 3 * stages; microbatches += stages) {
      SCOPED_TRACE(testing::Message() << stages << " stages, " << microbatches);
      run_on_all_stages(make_schedule(GetParam(), {stages, microbatches, chunks}), 2);
    }
  }
}

TEST_P(Executor, PlansAsManySlotsAsUnitsAreHeld) {
  const int chunks = GetParam() == ScheduleKind::interleaved_1f1b ? 3 : 1;
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
    for (int chunks = 1; chunks <= (stages > 1 ? 3 : 1); ++chunks) {
      for (int microbatches = 1; microbatches <= 7; ++microbatches) {
        SCOPED_TRACE(testing::Message() << stages << " x " << chunks << ", " << microbatches);
        run_on_all_stages(make_forward_schedule({stages, microbatches, chunks}), 2);
      }
    }
  }
}

}  // namespace
}  // namespace weft
