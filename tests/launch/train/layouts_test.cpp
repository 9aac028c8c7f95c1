// The same run on one rank, in micro-batches and on several ranks: the same weights to begin with,
// the same gradients and losses up to rounding.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "tests/launch/train/engine_rank.h"

namespace weft {
namespace {

constexpr int64_t kSteps = 20;
// Layouts differ in the order in which the same products are summed. A gradient is a sum over the
// tokens of the batch, here n = 768, and a sum of n terms in f32 whose roundings are independent is
// off by about sqrt(n) 2^-24 of its largest partial sum: 1.7e-6 if added one by one, less in the
// blocks of a matrix product. Losses are sums in f64 of f32 terms whose errors average out.
constexpr double kBound = 1e-6;

struct Layout {
  const char* name;
  int ranks;
  int64_t micro_batch_size;
};
constexpr Layout kWhole{"one rank", 1, 12};
constexpr Layout kOthers[] = {{"three micro-batches", 1, 4},
                              {"two ranks with two micro-batches", 2, 3},
                              {"four ranks", 4, 3}};

using Values = std::vector<float>;

// What one rank saw.
struct Trace {
  std::vector<std::string> names;
  std::vector<Values> weights;    // before the first step
  std::vector<Values> gradients;  // of the first batch
  std::vector<Values> trained;    // weights after the last step
  std::vector<double> losses;
  double validation = 0;
};

Values copy(const Tensor& tensor) {
  const auto* data = tensor.data<float>();
  return {data, data + tensor.elements()};
}

std::vector<Values> weights_of(Engine& engine) {
  std::vector<Values> all;
  for (const auto& p : engine.parameters()) all.push_back(copy(p->value));
  return all;
}

Trace train(const RunConfig& config, Bootstrap& bootstrap) {
  EngineRank rank(config, bootstrap);
  Trace trace;
  trace.weights = weights_of(rank.engine());
  rank.gradients();
  for (const auto& p : rank.engine().parameters()) {
    trace.names.push_back(p->spec.name);
    trace.gradients.push_back(copy(p->grad));
  }
  rank.engine().clear_gradients();
  for (int64_t update = 1; update <= kSteps; ++update) {
    trace.losses.push_back(rank.step(update).loss);
  }
  trace.validation = rank.evaluate(25);  // no multiple of anything here
  trace.trained = weights_of(rank.engine());
  return trace;
}

std::vector<Trace> train(RunConfig config, const Layout& layout) {
  config.train.micro_batch_size = layout.micro_batch_size;
  std::vector<Trace> traces(static_cast<size_t>(layout.ranks));
  run_local_ranks(layout.ranks, [&](Bootstrap& bootstrap) {
    traces[static_cast<size_t>(bootstrap.rank())] = train(config, bootstrap);
  });
  return traces;
}

bool same_bits(const std::vector<Values>& a, const std::vector<Values>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Values& x, const Values& y) {
    return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0;
  });
}

double relative(double a, double b) { return std::abs(a - b) / std::abs(b); }

struct Difference {
  double largest = 0;  // of an element, relative to the tensor's largest element
  double norm = 0;     // 2-norm of the difference, relative to that of the tensor
};

Difference difference(const Values& a, const Values& b) {
  double largest = 0, scale = 0, squares = 0, all = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = std::abs(double{a[i]} - double{b[i]});
    largest = std::max(largest, d);
    scale = std::max(scale, std::abs(double{b[i]}));
    squares += d * d;
    all += double{b[i]} * double{b[i]};
  }
  return {largest / scale, std::sqrt(squares / all)};
}

class Layouts : public ::testing::TestWithParam<RunConfig (*)()> {
 protected:
  // Every tensor of `a` within kBound of `b`.
  void expect_close(const Trace& a, const Trace& b) {
    for (size_t i = 0; i < b.gradients.size(); ++i) {
      const Difference d = difference(a.gradients[i], b.gradients[i]);
      EXPECT_LE(d.largest, kBound) << "gradient of " << b.names[i];
      EXPECT_LE(d.norm, kBound) << "gradient of " << b.names[i];
      note("gradient_element", d.largest);
      note("gradient_norm", d.norm);
    }
    for (size_t i = 0; i < b.losses.size(); ++i) {
      EXPECT_LE(relative(a.losses[i], b.losses[i]), kBound) << "loss of step " << i + 1;
      note("loss", relative(a.losses[i], b.losses[i]));
    }
    EXPECT_LE(relative(a.validation, b.validation), kBound);
  }

  // Keeps the worst figure under each name in the test's report.
  void note(const std::string& name, double value) {
    double& worst = worst_[name];
    if (value < worst) return;
    worst = value;
    RecordProperty("worst_" + name, fmt::format("{:.2e}", value));
  }

 private:
  std::map<std::string, double> worst_;
};

TEST_P(Layouts, TrainAlike) {
  const RunConfig config = GetParam()();
  const Trace whole = train(config, kWhole).front();
  EXPECT_LT(whole.losses.back(), whole.losses.front());
  for (const Layout& layout : kOthers) {
    SCOPED_TRACE(layout.name);
    const std::vector<Trace> ranks = train(config, layout);
    EXPECT_TRUE(same_bits(ranks.front().weights, whole.weights));
    expect_close(ranks.front(), whole);
    for (const Trace& other : ranks) {
      EXPECT_TRUE(same_bits(other.weights, whole.weights));
      EXPECT_TRUE(same_bits(other.gradients, ranks.front().gradients));
      EXPECT_TRUE(same_bits(other.trained, ranks.front().trained));
      EXPECT_EQ(other.losses, ranks.front().losses);
      EXPECT_EQ(other.validation, ranks.front().validation);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Gpt, Layouts, ::testing::Values(&char_run, &char_run_with_everything),
                         [](const ::testing::TestParamInfo<RunConfig (*)()>& test) {
                           return test.param == &char_run ? "Char" : "CharWithEverything";
                         });

}  // namespace
}  // namespace weft
