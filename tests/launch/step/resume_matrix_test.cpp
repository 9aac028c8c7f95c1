// A checkpoint of any layout goes on in any other one: the next steps are those of the run that was
// not interrupted. To the last bit where elastic determinism promises it, which is between layouts
// of equal tensor and no context parallelism; else within the bounds of docs/verify.md.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>

#include "launch/config/cross_check.h"
#include "launch/verify/verify.h"
#include "tests/launch/engine_rank.h"

namespace weft {
namespace {

constexpr int64_t kSaved = 2;  // steps before the checkpoint
constexpr int64_t kSteps = 5;  // and after all

using enum ScheduleKind;
constexpr int64_t kMicroBatch = 2;
constexpr Layout kLayouts[] = {
    {.micro_batch_size = kMicroBatch},
    {.dp = 2, .micro_batch_size = kMicroBatch},
    {.dp = 2, .micro_batch_size = kMicroBatch, .zero = 1},
    {.dp = 4, .micro_batch_size = kMicroBatch, .zero = 1},
    {.dp = 2, .micro_batch_size = kMicroBatch, .zero = 2},
    {.dp = 4, .micro_batch_size = kMicroBatch, .zero = 3},
    {.micro_batch_size = kMicroBatch, .pp = 2, .schedule = interleaved_1f1b},
    {.micro_batch_size = kMicroBatch, .pp = 2, .schedule = zero_bubble_v},
    {.dp = 2, .micro_batch_size = kMicroBatch, .zero = 3, .pp = 2},
    {.micro_batch_size = kMicroBatch, .pp = 4, .schedule = gpipe},
    {.tp = 2, .micro_batch_size = kMicroBatch},
    {.dp = 2, .tp = 2, .micro_batch_size = kMicroBatch, .zero = 2},
    {.tp = 4, .micro_batch_size = kMicroBatch},
    {.tp = 2, .micro_batch_size = kMicroBatch, .pp = 2, .schedule = zero_bubble_h1},
    {.micro_batch_size = kMicroBatch, .cp = 2},
    {.dp = 2, .micro_batch_size = kMicroBatch, .zero = 3, .cp = 2},
};
constexpr size_t kCount = std::size(kLayouts);

// Dropout and an odd vocabulary; small, and with an update that is a smooth function of the
// gradient.
RunConfig matrix_run(const Layout& layout) {
  RunConfig run = shrink(char_run());
  run.determinism = layout.cp == 1 ? Determinism::elastic : Determinism::layout;
  run.model.dropout = 0.1;
  run.data.train = {"made up"};
  return run;
}

// Weights and moments, whole, by tensor and kind.
using State = std::map<std::pair<std::string, std::string>, Values>;

struct Trace {
  std::vector<double> losses;  // of the steps after the checkpoint
  std::vector<double> norms;
  State state;
};

// Collects what the ranks of a job own.
class Collector {
 public:
  void add(const std::vector<Shard>& shards) {
    const std::lock_guard lock(mutex_);
    for (const Shard& s : shards) {
      Values& out = state_[{s.tensor, s.kind}];
      out.resize(static_cast<size_t>(s.global_shape.elements()), std::nanf(""));
      for_each_run(s.box, whole(s.global_shape), s.box, [&](const CopyRun& run) {
        std::memcpy(out.data() + run.target, static_cast<const float*>(s.data) + run.source,
                    static_cast<size_t>(run.count) * sizeof(float));
      });
    }
  }
  State take() { return std::move(state_); }

 private:
  std::mutex mutex_;
  State state_;
};

class ResumeMatrix : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = ::testing::TempDir() + "weft_matrix_" + std::to_string(getpid());
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string directory_of(size_t saver) const { return directory_ + "/" + std::to_string(saver); }

  // Steps from `first` to the last one, after `begin` on each rank.
  template <typename Begin>
  Trace run(const Layout& layout, int64_t first, const Begin& begin) const {
    const RunConfig config = with_layout(matrix_run(layout), layout);
    for (const Violation& v : cross_check(config, layout.ranks())) ADD_FAILURE() << v.message;
    Trace trace;
    Collector collector;
    run_local_ranks(layout.ranks(), [&](Bootstrap& bootstrap) {
      EngineRank rank(config, bootstrap);
      begin(rank, bootstrap);
      for (int64_t update = first; update <= kSteps; ++update) {
        const StepResult result = rank.step(update);
        if (bootstrap.rank() != 0) continue;
        trace.losses.push_back(result.loss);
        trace.norms.push_back(result.grad_norm);
      }
      collector.add(shards_of(rank.engine().parameters(), rank.engine().optimizer()));
    });
    trace.state = collector.take();
    return trace;
  }

  // The run that is not interrupted; leaves a checkpoint on its way.
  Trace train_and_save(size_t saver) const {
    return run(kLayouts[saver], kSaved + 1, [&](EngineRank& rank, Bootstrap& bootstrap) {
      for (int64_t update = 1; update <= kSaved; ++update) rank.step(update);
      const auto shards = shards_of(rank.engine().parameters(), rank.engine().optimizer());
      save_checkpoint({.directory = directory_of(saver), .step = kSaved, .shards = shards},
                      bootstrap);
    });
  }

  Trace load_and_train(size_t saver, size_t loader) const {
    return run(kLayouts[loader], kSaved + 1, [&](EngineRank& rank, Bootstrap&) {
      rank.load(directory_of(saver) + "/step_00000002");
    });
  }

  std::string directory_;
};

bool promises_bits(const Layout& a, const Layout& b) {
  return a == b || (a.tp == b.tp && a.cp == 1 && b.cp == 1);
}

void expect_same_bits(const Trace& trace, const Trace& reference) {
  EXPECT_EQ(trace.losses, reference.losses);
  EXPECT_EQ(trace.norms, reference.norms);
  for (const auto& [key, values] : reference.state) {
    const Values& other = trace.state.at(key);
    EXPECT_EQ(std::memcmp(values.data(), other.data(), values.size() * sizeof(float)), 0)
        << key.second << " of " << key.first;
  }
}

// How far an element of a state may be off (docs/verify.md). The largest gradient of a tensor is at
// least its mean over the steps, which the first moment holds.
double bound_of(const std::string& tensor, const std::string& kind, const State& reference,
                const Bounds& bounds, double beta1) {
  const double top = largest(reference.at({tensor, kind}));
  if (kind == "exp_avg") return bounds.moment * top;
  if (kind == "exp_avg_sq") return 2 * bounds.moment * top;  // of squares
  const double gradient =
      largest(reference.at({tensor, "exp_avg"})) / (1 - std::pow(beta1, double{kSteps}));
  return bounds.update * gradient + bounds.rounding * top;
}

void expect_near(const Trace& trace, const Trace& reference) {
  const RunConfig config = matrix_run({});
  const Bounds bounds = bounds_of(config, kSteps);
  for (size_t i = 0; i < reference.losses.size(); ++i) {
    EXPECT_NEAR(trace.losses[i], reference.losses[i], bounds.loss * reference.losses[i]);
    EXPECT_NEAR(trace.norms[i], reference.norms[i], bounds.gradient * reference.norms[i]);
  }
  for (const auto& [key, values] : reference.state) {
    EXPECT_LE(largest_difference(trace.state.at(key), values),
              bound_of(key.first, key.second, reference.state, bounds, config.optimizer.beta1))
        << key.second << " of " << key.first;
  }
}

TEST_F(ResumeMatrix, AnyLayoutGoesOnWhereAnyOtherStopped) {
  int bitwise = 0;
  for (size_t saver = 0; saver < kCount; ++saver) {
    const Trace reference = train_and_save(saver);
    ASSERT_EQ(reference.losses.size(), size_t{kSteps - kSaved});
    for (size_t loader = 0; loader < kCount; ++loader) {
      SCOPED_TRACE(to_string(kLayouts[saver]) + " continued by " + to_string(kLayouts[loader]));
      const Trace trace = load_and_train(saver, loader);
      if (promises_bits(kLayouts[saver], kLayouts[loader])) {
        ++bitwise;
        expect_same_bits(trace, reference);
      } else {
        expect_near(trace, reference);
      }
    }
  }
  EXPECT_EQ(bitwise, 10 * 10 + 3 * 3 + 1 + 2);
  RecordProperty("bitwise", bitwise);
}

}  // namespace
}  // namespace weft
