#include "launch/verify/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/model/gpt_specs.h"
#include "launch/config/cross_check.h"
#include "launch/step/random_tokens.h"
#include "optim/muon.h"
#include "optim/schedule.h"

namespace weft {
namespace {

constexpr int64_t kLayers = 4, kHeadDim = 8, kTokens = 16, kVocab = 61;
constexpr double kUnit = 0x1p-24;  // rounding unit of f32

// Keeps whatever is closest to its bound.
class Worst {
 public:
  explicit Worst(const Layout& layout) { result_.layout = layout; }

  void add(const std::string& what, double error, double bound) {
    const double share = std::isfinite(error) ? error / bound : INFINITY;
    ok_ = ok_ && share <= 1;
    if (share < share_) return;
    share_ = share;
    result_.worst = what;
    result_.error = error;
    result_.bound = bound;
  }
  Comparison result() {
    result_.ok = ok_;
    return result_;
  }

 private:
  Comparison result_;
  double share_ = -1;
  bool ok_ = true;
};

// The tensor whose values say how large a gradient's are: its own, but for the bias of the keys.
// That shifts all scores of a query alike, which softmax does not see: the gradient is zero, and
// what is left of it is rounding of sums as large as those of its neighbour.
std::string scale_name(const std::string& name) {
  const size_t at = name.find(".attn.k.bias");
  return at == std::string::npos ? name : name.substr(0, at) + ".attn.v.bias";
}

double unit_of(const RunConfig& config) {
  switch (config.precision) {
    case Precision::bf16:
      return 0x1p-8;
    case Precision::f16:
      return 0x1p-11;
    default:
      return kUnit;
  }
}

// In 16-bit types: every tensor that is stored on the way is rounded, and a layout that adds in
// another order rounds it elsewhere.
double storage_error(const RunConfig& config) {
  const double unit = config.precision == Precision::f32 ? 0 : unit_of(config);
  constexpr double kInLayer = 20, kAtEnds = 4;
  const double roundings = kInLayer * static_cast<double>(config.model.layers) + kAtEnds;
  return unit * std::sqrt(2 * roundings);
}

bool is_legal(const RunConfig& config, const Layout& layout) {
  return cross_check(with_layout(config, layout), std::nullopt).empty();
}

std::vector<int> divisors(int number) {
  std::vector<int> found;
  for (int d = 1; d <= number; ++d) {
    if (number % d == 0) found.push_back(d);
  }
  return found;
}

// The legal layouts of `shape`, one for each schedule, micro-batch size, ZeRO stage and recompute
// policy.
void add_legal(const RunConfig& config, const Layout& shape, std::vector<Layout>& all) {
  for (const ScheduleKind schedule : schedule_kinds()) {
    // One stage runs no schedule worth the name.
    if (shape.pp == 1 && schedule != ScheduleKind::one_f_one_b) continue;
    for (int64_t micro = config.train.batch_size / shape.dp; micro >= 1; micro /= 2) {
      if (config.train.batch_size % (micro * shape.dp) != 0) continue;
      for (int64_t zero = 0; zero <= (shape.dp * shape.cp > 1 ? 3 : 0); ++zero) {
        Layout layout = shape;
        layout.micro_batch_size = micro;
        layout.schedule = schedule;
        layout.zero = zero;
        if (!is_legal(config, layout)) continue;
        for (const Recompute policy : {Recompute::none, Recompute::selective, Recompute::full}) {
          layout.recompute = policy;
          all.push_back(layout);
        }
      }
    }
  }
}

// How far an update is off per error of a gradient, at the most.
double update_slope(const OptimizerConfig& optimizer, double steps) {
  return optimizer.kind == OptimizerKind::sgd ? steps + 1 : 2 / optimizer.eps;
}

// That of every matrix that Muon updates, per relative error of its momentum.
std::map<std::string, double> orthogonal_slopes(const RunConfig& config) {
  std::map<std::string, double> slopes;
  if (config.optimizer.kind != OptimizerKind::muon) return slopes;
  const double steepest = std::pow(Muon::kCoefficients[0], Muon::kIterations);
  for (const ParamSpec& spec : gpt_specs(config.model)) {
    if (!Muon::takes(spec)) continue;
    for (const Region& r : regions(spec, {}, {})) {
      slopes[r.tensor] = steepest * Muon::scale(config.optimizer.update_scale, r.tensor_shape) *
                         std::sqrt(static_cast<double>(r.tensor_shape.elements()));
    }
  }
  return slopes;
}

double norm(const Values& values) {
  double sum = 0;
  for (const float v : values) sum += double{v} * double{v};
  return std::sqrt(sum);
}

}  // namespace

double largest(const Values& values) {
  double top = 0;
  for (const float v : values) top = std::max(top, std::abs(double{v}));
  return top;
}

double largest_difference(const Values& a, const Values& b) {
  double top = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    const double d = std::abs(double{a[i]} - double{b[i]});
    if (!(d <= top)) top = d;  // a NaN stays
  }
  return top;
}

RunConfig shrink(const RunConfig& config) {
  RunConfig small = config;
  small.model.layers = std::min(config.model.layers, kLayers);
  small.model.width = config.model.heads * kHeadDim;
  if (config.model.mlp_width) {
    small.model.mlp_width = *config.model.mlp_width * small.model.width / config.model.width;
  }
  small.model.context_length = kTokens;
  small.model.vocab_size = std::min(config.model.vocab_size.value_or(kVocab), kVocab);
  small.train = TrainConfig{};
  small.train.batch_size = 8;
  small.train.eval_interval = 0;
  small.train.steps = 1000;
  small.data = DataConfig{};
  small.checkpoint = CheckpointConfig{};
  small.schedule = ScheduleConfig{};
  small.schedule.kind = ScheduleConfig::Kind::constant;
  small.schedule.peak_lr = 1e-2;
  small.schedule.warmup_steps = 0;
  if (config.optimizer.kind != OptimizerKind::sgd) small.optimizer.eps = kVerifyEps;
  small.mesh = MeshConfig{};
  small.recompute = RecomputeConfig{};
  return small;
}

std::vector<Layout> legal_layouts(const RunConfig& config, int max_ranks) {
  std::vector<Layout> all;
  for (int ranks = 1; ranks <= max_ranks; ++ranks) {
    for (const int tp : divisors(ranks)) {
      for (const int pp : divisors(ranks / tp)) {
        for (const int cp : divisors(ranks / tp / pp)) {
          add_legal(config, {.dp = ranks / tp / pp / cp, .tp = tp, .pp = pp, .cp = cp}, all);
        }
      }
    }
  }
  return all;
}

Bounds bounds_of(const RunConfig& config, int64_t steps) {
  const GptConfig& m = config.model;
  const auto tokens = static_cast<double>(config.train.batch_size * config.sequence_length());
  const auto depth = static_cast<double>(m.layers);
  const double sums = std::sqrt(tokens) + 4 * depth * std::sqrt(static_cast<double>(m.mlp()));
  const double gradient = kUnit * sums + storage_error(config);
  double travel = 0;  // the sum of the learning rates
  for (int64_t update = 1; update <= steps; ++update) {
    travel += learning_rate(config.schedule, update, config.train.steps);
  }
  const auto count = static_cast<double>(steps);
  Bounds bounds{.gradient = gradient,
                .moment = gradient * count,
                .update = travel * update_slope(config.optimizer, count) * gradient,
                .rounding = 2 * kUnit * count,
                .loss = gradient,
                .orthogonal = orthogonal_slopes(config)};
  // Newton-Schulz rounds as well, each iteration what it makes.
  const double rounding = unit_of(config) * std::sqrt(2.0 * Muon::kIterations);
  for (auto& [name, slope] : bounds.orthogonal) slope *= travel * (bounds.moment + rounding);
  return bounds;
}

Comparison compare(const Layout& layout, const LayoutTrace& trace, const LayoutTrace& reference,
                   const Bounds& bounds) {
  Worst worst(layout);
  for (const std::string& what : trace.disagreements) worst.add(what, INFINITY, 0);
  for (const auto& [name, values] : reference.initial) {
    const Values& other = trace.initial.at(name);
    const bool same = std::memcmp(values.data(), other.data(), values.size() * sizeof(float)) == 0;
    worst.add("initial " + name, same ? 0 : INFINITY, 1);
  }
  for (const auto& [name, values] : reference.gradients) {
    const double scale = largest(reference.gradients.at(scale_name(name)));
    worst.add("gradient of " + name, largest_difference(trace.gradients.at(name), values) / scale,
              bounds.gradient);
  }
  for (const auto& [name, values] : reference.trained) {
    const auto matrix = bounds.orthogonal.find(name);
    double update = bounds.update * largest(reference.gradients.at(scale_name(name)));
    if (matrix != bounds.orthogonal.end()) {
      const Values& moment = reference.moments.at(name);
      update = matrix->second * largest(moment) / norm(moment);
    }
    worst.add("trained " + name, largest_difference(trace.trained.at(name), values),
              update + bounds.rounding * largest(values));
  }
  for (const auto& [name, values] : reference.moments) {
    const double scale = largest(reference.moments.at(scale_name(name)));
    worst.add("first moment of " + name, largest_difference(trace.moments.at(name), values) / scale,
              bounds.moment);
  }
  const auto relative = [](double a, double b) { return std::abs(a - b) / std::abs(b); };
  for (size_t i = 0; i < reference.losses.size(); ++i) {
    worst.add(fmt::format("loss {}", i), relative(trace.losses[i], reference.losses[i]),
              bounds.loss);
  }
  for (size_t i = 0; i < reference.grad_norms.size(); ++i) {
    worst.add(fmt::format("gradient norm of step {}", i + 1),
              relative(trace.grad_norms[i], reference.grad_norms[i]), bounds.gradient);
  }
  return worst.result();
}

void verify_layouts(const RunConfig& config, const std::vector<Layout>& layouts,
                    const VerifyOptions& options,
                    const std::function<void(const Comparison&)>& report) {
  const FillSample fill = random_tokens(*config.model.vocab_size);
  const Layout one{1, 1, config.train.batch_size};
  const LayoutTrace reference = run_layout(config, one, options.steps, fill);
  const Bounds bounds = bounds_of(config, options.steps);
  for (const Layout& layout : layouts) {
    const auto run = [&](const std::optional<Fault>& fault) {
      return run_layout(config, layout, options.steps, fill, fault, options.job);
    };
    std::optional<Fault> fault;
    if (options.inject) {
      const std::vector<Fault> faults = faults_of(run({}).calls, options.inject->kind);
      if (options.inject->number >= std::ssize(faults)) continue;
      fault = faults[static_cast<size_t>(options.inject->number)];
    }
    Comparison result{.layout = layout, .worst = "diverged", .error = INFINITY};
    try {
      result = compare(layout, run(fault), reference, bounds);
    } catch (const SharedError& error) {
      if (error.kind() != ErrorKind::diverged) throw;
    }
    result.fault = fault;
    report(result);
  }
}

}  // namespace weft
