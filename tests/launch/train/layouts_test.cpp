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
  int64_t tp = 1;
};
constexpr Layout kWhole{"one rank", 1, 12};
constexpr Layout kOthers[] = {{"three micro-batches", 1, 4},
                              {"two ranks with two micro-batches", 2, 3},
                              {"four ranks", 4, 3},
                              {"two tensor-parallel ranks", 2, 12, 2},
                              {"four tensor-parallel ranks in micro-batches", 4, 3, 4},
                              {"two by two ranks", 4, 6, 2}};

using Values = std::vector<float>;
using Tensors = std::map<std::string, Values>;  // whole logical tensors, by name

// What one rank holds of a logical tensor.
struct Piece {
  Region region;
  bool owner;
  Values values;
};

// What one rank saw.
struct RankTrace {
  std::vector<Piece> weights;    // before the first step
  std::vector<Piece> gradients;  // of the first batch
  std::vector<Piece> trained;    // weights after the last step
  std::vector<double> losses;
  double validation = 0;
};

// What all ranks of a layout saw together.
struct Trace {
  Tensors weights, gradients, trained;
  std::vector<double> losses;
  double validation = 0;
};

std::vector<Piece> pieces(ParameterSet& set, Tensor Parameter::*member) {
  std::vector<Piece> all;
  for (const auto& p : set) {
    const bool owner = is_owner(p->spec, set.mesh(), set.coord());
    for (const Region& r : regions(p->spec, set.mesh(), set.coord())) {
      const float* data = ((*p).*member).data<float>() + r.local_begin;
      all.push_back({r, owner, Values(data, data + r.extent.elements())});
    }
  }
  return all;
}

RankTrace train(const RunConfig& config, Bootstrap& bootstrap) {
  EngineRank rank(config, bootstrap);
  ParameterSet& set = rank.engine().parameters();
  RankTrace trace;
  trace.weights = pieces(set, &Parameter::value);
  rank.gradients();
  trace.gradients = pieces(set, &Parameter::grad);
  rank.engine().clear_gradients();
  for (int64_t update = 1; update <= kSteps; ++update) {
    trace.losses.push_back(rank.step(update).loss);
  }
  trace.validation = rank.evaluate(25);  // no multiple of anything here
  trace.trained = pieces(set, &Parameter::value);
  return trace;
}

// Calls visit(whole element, piece element) for the elements of a piece.
template <typename Visit>
void for_each_element(const Piece& piece, Values& whole, const Visit& visit) {
  const Region& r = piece.region;
  const bool matrix = r.extent.rank() == 2;
  const int64_t rows = matrix ? r.extent[0] : 1;
  const int64_t columns = r.extent.back();
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t at = matrix ? (r.offset[0] + i) * r.tensor_shape[1] + r.offset[1] : r.offset[0];
    for (int64_t j = 0; j < columns; ++j) {
      visit(whole[static_cast<size_t>(at + j)], piece.values[static_cast<size_t>(i * columns + j)]);
    }
  }
}

// The whole tensors from their owners; every replica must have the owner's bits.
Tensors assemble(const std::vector<RankTrace>& ranks, std::vector<Piece> RankTrace::*member) {
  Tensors whole;
  for (const RankTrace& rank : ranks) {
    for (const Piece& piece : rank.*member) {
      Values& values = whole[piece.region.tensor];
      values.resize(static_cast<size_t>(piece.region.tensor_shape.elements()));
      if (piece.owner) for_each_element(piece, values, [](float& w, float v) { w = v; });
    }
  }
  for (const RankTrace& rank : ranks) {
    for (const Piece& piece : rank.*member) {
      bool same = true;
      for_each_element(piece, whole[piece.region.tensor], [&](float& w, float v) {
        same = same && std::memcmp(&w, &v, sizeof v) == 0;
      });
      EXPECT_TRUE(same) << "a replica of " << piece.region.tensor << " differs";
    }
  }
  return whole;
}

Trace train(RunConfig config, const Layout& layout) {
  config.train.micro_batch_size = layout.micro_batch_size;
  config.mesh.tp = layout.tp;
  std::vector<RankTrace> ranks(static_cast<size_t>(layout.ranks));
  run_local_ranks(layout.ranks, [&](Bootstrap& bootstrap) {
    ranks[static_cast<size_t>(bootstrap.rank())] = train(config, bootstrap);
  });
  for (const RankTrace& rank : ranks) {
    EXPECT_EQ(rank.losses, ranks.front().losses);
    EXPECT_EQ(rank.validation, ranks.front().validation);
  }
  return {assemble(ranks, &RankTrace::weights), assemble(ranks, &RankTrace::gradients),
          assemble(ranks, &RankTrace::trained), ranks.front().losses, ranks.front().validation};
}

bool same_bits(const Tensors& a, const Tensors& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.size() == y.second.size() &&
           std::memcmp(x.second.data(), y.second.data(), x.second.size() * sizeof(float)) == 0;
  });
}

double relative(double a, double b) { return std::abs(a - b) / std::abs(b); }

struct Difference {
  double largest = 0;  // of an element, relative to the tensor's largest element
  double norm = 0;     // 2-norm of the difference, relative to that of the tensor
};

// `scale_of` says how large values are.
Difference difference(const Values& a, const Values& b, const Values& scale_of) {
  double largest = 0, scale = 0, squares = 0, all = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = std::abs(double{a[i]} - double{b[i]});
    largest = std::max(largest, d);
    scale = std::max(scale, std::abs(double{scale_of[i]}));
    squares += d * d;
    all += double{scale_of[i]} * double{scale_of[i]};
  }
  return {largest / scale, std::sqrt(squares / all)};
}

// The tensor whose values say how large a gradient's are: its own, but for the bias of the keys.
// That shifts all scores of a query alike, which softmax does not see: the gradient is zero, and
// what is left of it is rounding of sums as large as those of its neighbour.
std::string scale_name(const std::string& name) {
  const size_t at = name.find(".attn.k.bias");
  return at == std::string::npos ? name : name.substr(0, at) + ".attn.v.bias";
}

class Layouts : public ::testing::TestWithParam<RunConfig (*)()> {
 protected:
  // Every tensor of `a`, the trace of `layout`, within kBound of `b`.
  void expect_close(const std::string& layout, const Trace& a, const Trace& b) {
    for (const auto& [name, gradient] : b.gradients) {
      const Difference d =
          difference(a.gradients.at(name), gradient, b.gradients.at(scale_name(name)));
      EXPECT_LE(d.largest, kBound) << "gradient of " << name;
      EXPECT_LE(d.norm, kBound) << "gradient of " << name;
      note(layout + ": gradient element", d.largest);
      note(layout + ": gradient norm", d.norm);
    }
    for (size_t i = 0; i < b.losses.size(); ++i) {
      EXPECT_LE(relative(a.losses[i], b.losses[i]), kBound) << "loss of step " << i + 1;
      note(layout + ": loss", relative(a.losses[i], b.losses[i]));
    }
    EXPECT_LE(relative(a.validation, b.validation), kBound);
  }

  // Keeps the worst figure under each name in the test's report.
  void note(const std::string& name, double value) {
    double& worst = worst_[name];
    if (value < worst) return;
    worst = value;
    RecordProperty(name, fmt::format("{:.2e}", value));
  }

 private:
  std::map<std::string, double> worst_;
};

TEST_P(Layouts, TrainAlike) {
  const RunConfig config = GetParam()();
  const Trace whole = train(config, kWhole);
  EXPECT_LT(whole.losses.back(), whole.losses.front());
  for (const Layout& layout : kOthers) {
    SCOPED_TRACE(layout.name);
    const Trace other = train(config, layout);
    EXPECT_TRUE(same_bits(other.weights, whole.weights));
    expect_close(layout.name, other, whole);
  }
}

INSTANTIATE_TEST_SUITE_P(Gpt, Layouts, ::testing::Values(&char_run, &char_run_with_everything),
                         [](const ::testing::TestParamInfo<RunConfig (*)()>& test) {
                           return test.param == &char_run ? "Char" : "CharWithEverything";
                         });

}  // namespace
}  // namespace weft
