#include "launch/config/cross_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <numeric>

#include "core/base/error.h"
#include "core/base/glob.h"
#include "core/base/nearest.h"
#include "core/model/gpt_specs.h"

namespace weft {

namespace {

using Violations = std::vector<Violation>;

// "4 or 8": the divisors of `number` nearest to `wanted`, which is none.
std::string nearest_divisors(int64_t number, int64_t wanted) {
  std::vector<int64_t> found;
  for (int64_t below = std::min(wanted, number); below >= 1 && found.empty(); --below) {
    if (number % below == 0) found.push_back(below);
  }
  for (int64_t above = wanted + 1; above <= number && found.size() < 2; ++above) {
    if (number % above == 0) found.push_back(above);
  }
  return fmt::format("{}", fmt::join(found, " or "));
}

// "8 or 12": the multiples of `unit` nearest to `wanted`, which is none.
std::string nearest_multiples(int64_t unit, int64_t wanted) {
  const int64_t below = wanted / unit * unit;
  return below == 0 ? fmt::format("{}", unit) : fmt::format("{} or {}", below, below + unit);
}

void check_model(const GptConfig& model, Violations& out) {
  if (model.width % model.heads != 0) {
    out.push_back({{"model.heads", "model.width"},
                   fmt::format("{} heads do not divide width {} evenly; try heads {}", model.heads,
                               model.width, nearest_divisors(model.width, model.heads))});
  }
  if (model.position == GptConfig::Position::sinusoidal && model.width % 2 != 0) {
    out.push_back({{"model.width", "model.position"},
                   fmt::format("sinusoidal positions need an even width, not {}; try {} or {}",
                               model.width, model.width - 1, model.width + 1)});
  }
}

void check_lengths(const RunConfig& config, Violations& out) {
  const int64_t length = config.sequence_length();
  if (length > config.model.context_length) {
    out.push_back({{"train.sequence_length", "model.context_length"},
                   fmt::format("{} tokens are more than model.context_length {}; try {} or auto",
                               length, config.model.context_length, config.model.context_length)});
  }
  if (config.data.stride && config.data.order == DataConfig::Order::documents) {
    out.push_back({{"data.stride", "data.order"},
                   "has no meaning with data.order documents; try auto, or data.order windows"});
  }
  constexpr double kMostTokens = 9e18;  // what 63 bits can count
  const double tokens = static_cast<double>(config.train.steps) *
                        static_cast<double>(config.train.batch_size) * static_cast<double>(length);
  if (tokens > kMostTokens) {
    out.push_back({{"train.steps", "train.batch_size", "train.sequence_length"},
                   fmt::format("{} steps of {} sequences of {} tokens are more than 9e18 tokens; "
                               "try fewer steps",
                               config.train.steps, config.train.batch_size, length)});
  }
}

void check_schedule(const RunConfig& config, Violations& out) {
  using Kind = ScheduleConfig::Kind;
  const ScheduleConfig& schedule = config.schedule;
  const int64_t end = schedule.end_step(config.train.steps);
  const char* end_key = schedule.decay_steps ? "schedule.decay_steps" : "train.steps";
  if (schedule.kind != Kind::constant && schedule.min_lr > schedule.peak_lr) {
    out.push_back({{"schedule.min_lr", "schedule.peak_lr"},
                   fmt::format("{} is above schedule.peak_lr {}; try {} (a tenth of it)",
                               schedule.min_lr, schedule.peak_lr, schedule.peak_lr / 10)});
  }
  if (schedule.warmup_steps > end) {
    out.push_back({{"schedule.warmup_steps", end_key},
                   fmt::format("{} warm-up steps are more than {} {}; try at most {}",
                               schedule.warmup_steps, end_key, end, end)});
  } else if (schedule.kind == Kind::wsd) {
    const double longest = static_cast<double>(end - schedule.warmup_steps);
    if (schedule.wsd_decay_fraction * static_cast<double>(end) > longest) {
      out.push_back({{"schedule.wsd_decay_fraction", "schedule.warmup_steps", end_key},
                     fmt::format("the last {} of {} steps begin before {} warm-up steps are over; "
                                 "try at most {:.3g}",
                                 schedule.wsd_decay_fraction, end, schedule.warmup_steps,
                                 longest / static_cast<double>(end))});
    }
  }
}

// The data-parallel size if it can be known; nullopt after a violation too.
std::optional<int64_t> check_mesh(const MeshConfig& mesh, std::optional<int64_t> world_size,
                                  Violations& out) {
  if (!world_size) return mesh.dp;
  const int64_t model_ranks = mesh.model_ranks();
  if (!mesh.dp && *world_size % model_ranks == 0) return *world_size / model_ranks;
  if (mesh.dp && *mesh.dp * model_ranks == *world_size) return mesh.dp;
  out.push_back(
      {{"mesh.dp", "mesh.tp", "mesh.pp", "mesh.cp"},
       mesh.dp ? fmt::format("dp {} * tp {} * pp {} * cp {} is {}, but {} ranks were started; try "
                             "mesh.dp auto, or start {} ranks",
                             *mesh.dp, mesh.tp, mesh.pp, mesh.cp, *mesh.dp * model_ranks,
                             *world_size, *mesh.dp * model_ranks)
               : fmt::format("tp {} * pp {} * cp {} does not divide the {} ranks that were "
                             "started; try {} ranks",
                             mesh.tp, mesh.pp, mesh.cp, *world_size,
                             nearest_multiples(model_ranks, *world_size))});
  return std::nullopt;
}

// What tensor parallelism must be able to cut.
void check_tensor_parallel(const RunConfig& config, std::optional<int64_t> data_ranks,
                           Violations& out) {
  const int64_t tp = config.mesh.tp;
  if (tp == 1) return;
  if (config.model.heads % tp != 0) {
    out.push_back({{"mesh.tp", "model.heads"},
                   fmt::format("{} ranks cannot share {} heads evenly; try mesh.tp {}", tp,
                               config.model.heads, nearest_divisors(config.model.heads, tp))});
  }
  const auto leaves_a_rank_empty = [tp](int64_t size) {
    return (size + tp - 1) / tp * (tp - 1) >= size;
  };
  if (leaves_a_rank_empty(config.model.mlp())) {
    out.push_back({{"mesh.tp", "model.mlp_width"},
                   fmt::format("{} ranks leave one without a share of MLP width {}; try fewer", tp,
                               config.model.mlp())});
  }
  if (config.model.vocab_size && leaves_a_rank_empty(*config.model.vocab_size)) {
    out.push_back(
        {{"mesh.tp", "model.vocab_size"},
         fmt::format("{} ranks leave one without a share of the vocabulary of {}; try fewer", tp,
                     *config.model.vocab_size)});
  }
  const int64_t cp = config.mesh.cp;
  if (!data_ranks || config.train.batch_size % *data_ranks != 0) return;
  if (config.sequence_length() % cp != 0) return;
  const int64_t rows = config.micro_batch_size(*data_ranks) * config.sequence_length() / cp;
  if (rows % tp == 0) return;
  out.push_back({{"mesh.tp", "train.micro_batch_size", "train.sequence_length"},
                 fmt::format("{} ranks cannot share the {} tokens of a micro-batch evenly "
                             "(sequence parallelism); try mesh.tp {}",
                             tp, rows, nearest_divisors(rows, tp))});
}

// What pipeline parallelism must be able to cut, and the schedule to run.
void check_pipeline(const RunConfig& config, std::optional<int64_t> data_ranks, Violations& out) {
  const PipelineConfig& pipeline = config.pipeline;
  const int64_t stages = config.mesh.pp, chunks = pipeline.chunk_count();
  const int64_t parts = stages * chunks, layers = config.model.layers;
  if (stages == 1 && chunks > 1) {
    out.push_back(
        {{"pipeline.chunks", "mesh.pp"},
         fmt::format("{} chunks need a pipeline; try mesh.pp 2, or pipeline.schedule 1f1b "
                     "with pipeline.chunks 1",
                     chunks)});
    return;
  }
  if (pipeline.layers.empty()) {
    if (parts > layers) {
      out.push_back(
          {{"mesh.pp", "pipeline.chunks", "model.layers"},
           fmt::format("{} stages of {} chunk{} need as many blocks, the model has {}; try "
                       "mesh.pp {}",
                       stages, chunks, chunks == 1 ? "" : "s", layers,
                       std::max<int64_t>(1, layers / chunks))});
    }
  } else {
    const int64_t sum = std::accumulate(pipeline.layers.begin(), pipeline.layers.end(), int64_t{0});
    if (static_cast<int64_t>(pipeline.layers.size()) != parts || sum != layers) {
      out.push_back(
          {{"pipeline.layers", "mesh.pp", "pipeline.chunks", "model.layers"},
           fmt::format("{} numbers that add up to {}; give {} (pp {} * chunks {}) that add "
                       "up to {} layers, or none to balance them",
                       pipeline.layers.size(), sum, parts, stages, chunks, layers)});
    }
  }
  if (!data_ranks || config.train.batch_size % *data_ranks != 0) return;
  const int64_t rows = config.micro_batch_size(*data_ranks) * *data_ranks;
  if (config.train.batch_size % rows != 0) return;
  try {
    check_shape(pipeline.schedule,
                {.stages = static_cast<int>(stages),
                 .microbatches = static_cast<int>(config.train.batch_size / rows),
                 .chunks = static_cast<int>(chunks)});
  } catch (const Error& error) {
    out.push_back(
        {{"pipeline.schedule", "pipeline.chunks", "train.micro_batch_size"}, error.what()});
  }
}

// Each sequence is cut into 2 * cp chunks of equal length.
void check_context_parallel(const RunConfig& config, Violations& out) {
  const int64_t cp = config.mesh.cp;
  const int64_t length = config.sequence_length();
  if (cp == 1 || length % (2 * cp) == 0) return;
  out.push_back(
      {{"mesh.cp", "train.sequence_length"},
       fmt::format("{} ranks share a sequence in {} equal chunks, which {} tokens do not "
                   "give; try mesh.cp {}, or {} tokens",
                   cp, 2 * cp, length, length % 2 == 0 ? nearest_divisors(length / 2, cp) : "1",
                   nearest_multiples(2 * cp, length))});
}

void check_batch(const TrainConfig& train, std::optional<int64_t> data_ranks, Violations& out) {
  const int64_t ranks = data_ranks.value_or(1);
  const int64_t micro = train.micro_batch_size.value_or(1);
  if (train.batch_size % (micro * ranks) == 0) return;
  std::string unit = fmt::format("{} data-parallel ranks", ranks);
  if (train.micro_batch_size) {
    unit = fmt::format("micro_batch_size {}", micro);
    if (data_ranks) unit += fmt::format(" * {} data-parallel ranks = {}", ranks, micro * ranks);
  }
  out.push_back({{"train.batch_size", "train.micro_batch_size", "mesh.dp"},
                 fmt::format("{} is not a multiple of {}; try {}", train.batch_size, unit,
                             nearest_multiples(micro * ranks, train.batch_size))});
}

void check_recompute(const RunConfig& config, Violations& out) {
  const std::vector<std::string>& stages = config.recompute.stages;
  for (const std::string& policy : stages) {
    if (recompute_of(policy)) continue;
    out.push_back({{"recompute.stages"},
                   fmt::format("'{}' is no policy; legal: {}", policy,
                               fmt::join(enum_names(Recompute::none), ", "))});
  }
  const auto count = static_cast<int64_t>(stages.size());
  if (count == 0 || count == config.mesh.pp) return;
  out.push_back({{"recompute.stages", "mesh.pp"},
                 fmt::format("{} policies for {} pipeline stage{}; try one for each, or none to "
                             "have recompute.policy everywhere",
                             count, config.mesh.pp, config.mesh.pp == 1 ? "" : "s")});
}

bool is_power_of_two(int64_t n) { return n > 0 && (n & (n - 1)) == 0; }

// "4 or 8": the powers of two next to `n`, which is none, times `unit`.
std::string nearest_powers(int64_t n, int64_t unit = 1) {
  int64_t below = 1;
  while (below * 2 < n) below *= 2;
  return fmt::format("{} or {}", below * unit, below * 2 * unit);
}

void check_cuda(const RunConfig& config, Violations& out) {
  if (config.cuda.measure_matmuls && !config.cuda.matmul_cache) {
    out.push_back({{"cuda.measure_matmuls", "cuda.matmul_cache"},
                   "without cuda.matmul_cache every run would measure anew, and a resumed one "
                   "compute other bits; name a folder, or try cuda.measure_matmuls false"});
  }
}

// What recorded passes cannot have in them: collectives, and numbers that differ from one
// micro-batch to the next.
void check_graphs(const RunConfig& config, Violations& out) {
  if (!config.cuda.graphs) return;
  const auto refuse = [&](const char* key, const std::string& why, const char* instead) {
    out.push_back(
        {{"cuda.graphs", key}, fmt::format("{}; try cuda.graphs false, or {}", why, instead)});
  };
  if (config.device != DeviceKind::cuda) {
    refuse("device", "ranks on CPUs have no CUDA graphs", "device cuda");
  }
  if (config.mesh.tp > 1) {
    refuse("mesh.tp", "tensor-parallel ranks talk within every layer, which is not recorded",
           "mesh.tp 1");
  }
  if (config.mesh.cp > 1) {
    refuse("mesh.cp", "context-parallel ranks talk within attention, which is not recorded",
           "mesh.cp 1");
  }
  if (config.mesh.zero == 3) {
    refuse("mesh.zero", "stage 3 gathers weights before every layer, which is not recorded",
           "mesh.zero 2");
  }
  if (config.model.dropout > 0) {
    refuse("model.dropout",
           fmt::format("a recording would drop the same elements of every micro-batch, not {} of "
                       "them anew",
                       config.model.dropout),
           "model.dropout 0");
  }
}

// The sums of elastic runs are balanced trees: powers of two throughout.
void check_elastic(const RunConfig& config, std::optional<int64_t> data_ranks, Violations& out) {
  if (!config.elastic()) return;
  if (config.mesh.cp > 1) {
    out.push_back({{"determinism", "mesh.cp"},
                   fmt::format("elastic does not hold over the {} ranks of mesh.cp; try mesh.cp 1, "
                               "or determinism layout",
                               config.mesh.cp)});
  }
  if (data_ranks && !is_power_of_two(*data_ranks)) {
    out.push_back({{"determinism", "mesh.dp"},
                   fmt::format("elastic needs a power of two of data-parallel ranks, not {}; try "
                               "mesh.dp {}",
                               *data_ranks, nearest_powers(*data_ranks))});
    return;
  }
  const TrainConfig& train = config.train;
  if (!train.micro_batch_size) {
    out.push_back({{"determinism", "train.micro_batch_size"},
                   fmt::format("elastic adds micro-batches of one size in every layout, which auto "
                               "is not; try {}",
                               train.batch_size / data_ranks.value_or(1))});
    return;
  }
  const int64_t micro = *train.micro_batch_size;
  const int64_t ranks = data_ranks.value_or(1);
  const int64_t count = train.batch_size / micro;
  if (train.batch_size % (micro * ranks) == 0 && !is_power_of_two(count)) {
    out.push_back({{"determinism", "train.batch_size", "train.micro_batch_size"},
                   fmt::format("elastic needs a power of two of micro-batches in a batch, not {}; "
                               "try train.batch_size {}",
                               count, nearest_powers(count, micro))});
  }
}

// ZeRO 2 and 3 hold the gradients of one micro-batch at a time.
void check_zero(const RunConfig& config, Violations& out) {
  const ScheduleTraits& schedule = traits(config.pipeline.schedule);
  if (config.mesh.zero < 2 || !schedule.splits_backward) return;
  out.push_back({{"mesh.zero", "pipeline.schedule"},
                 fmt::format("{} keeps weight gradients of several micro-batches open, stage {} "
                             "sums them one by one; try mesh.zero 1, or pipeline.schedule 1f1b",
                             schedule.name, config.mesh.zero)});
}

// The first key of the loss scale that is not what it is by default; null when all are.
const char* changed_key(const LossScaleConfig& scale) {
  const LossScaleConfig usual;
  if (scale.dynamic != usual.dynamic) return "loss_scale.dynamic";
  if (scale.initial != usual.initial) return "loss_scale.initial";
  if (scale.growth_interval != usual.growth_interval) return "loss_scale.growth_interval";
  if (scale.growth != usual.growth) return "loss_scale.growth";
  if (scale.backoff != usual.backoff) return "loss_scale.backoff";
  return scale.min != usual.min ? "loss_scale.min" : nullptr;
}

// What rounding and loss scales need to have a meaning.
void check_precision(const RunConfig& config, Violations& out) {
  const LossScaleConfig& scale = config.loss_scale;
  const char* changed = changed_key(scale);
  if (!config.scales_loss() && changed != nullptr) {
    out.push_back(
        {{changed, "precision"},
         fmt::format("has no meaning with precision {}, whose range is that of f32; leave "
                     "it out, or try precision f16",
                     enum_name(config.precision))});
  }
  if (config.scales_loss() && scale.min > scale.initial) {
    out.push_back({{"loss_scale.min", "loss_scale.initial"},
                   fmt::format("{} is above loss_scale.initial {}; try {}", scale.min,
                               scale.initial, scale.initial)});
  }
  if (config.optimizer.stochastic_rounding && config.precision != Precision::bf16 &&
      config.optimizer.state_type() != DType::bf16) {
    out.push_back({{"optimizer.stochastic_rounding", "optimizer.state_dtype", "precision"},
                   fmt::format("nothing is stored in bf16 with precision {} and f32 states; try "
                               "optimizer.state_dtype bf16, or precision bf16",
                               enum_name(config.precision))});
  }
}

// A key of the optimizer that some kinds alone read.
struct OptimizerKey {
  const char* key;
  bool changed;  // from what it is by default
  std::initializer_list<OptimizerKind> kinds;
};

void check_optimizer(const OptimizerConfig& now, Violations& out) {
  using enum OptimizerKind;
  const OptimizerConfig usual;
  const OptimizerKey keys[] = {
      {"beta1", now.beta1 != usual.beta1, {adamw, muon}},
      {"beta2", now.beta2 != usual.beta2, {adamw, muon}},
      {"eps", now.eps != usual.eps, {adamw, muon}},
      {"momentum", now.momentum != usual.momentum, {sgd, muon}},
      {"nesterov", now.nesterov != usual.nesterov, {sgd, muon}},
      {"update_scale", now.update_scale != usual.update_scale, {muon}},
      {"adamw_lr_factor", now.adamw_lr_factor != usual.adamw_lr_factor, {muon}}};
  for (const OptimizerKey& k : keys) {
    if (!k.changed || std::ranges::find(k.kinds, now.kind) != k.kinds.end()) continue;
    out.push_back({{std::string("optimizer.") + k.key, "optimizer.kind"},
                   fmt::format("has no meaning with optimizer.kind {}; leave it out, or try "
                               "optimizer.kind {}",
                               enum_name(now.kind), enum_name(*k.kinds.begin()))});
  }
}

void check_data(const RunConfig& config, Violations& out) {
  if (config.data.train.empty()) {
    out.push_back(
        {{"data.train"}, "names no data; give a list of what `weft prepare` has written"});
  }
  if (config.data.validation.empty() && config.train.eval_interval > 0) {
    out.push_back({{"data.validation", "train.eval_interval"},
                   fmt::format("names no data to evaluate on every {} steps; name some, or set "
                               "train.eval_interval to 0",
                               config.train.eval_interval)});
  }
}

// "h.0.ln_1.bias, h.0.ln_1.weight or ...": the tensors whose names are nearest to a pattern.
std::string nearest_tensors(const std::string& pattern, std::vector<std::string> names) {
  constexpr size_t kShown = 3;
  constexpr size_t kLongest = 64;  // bounds the work
  const std::string wanted = pattern.substr(0, kLongest);
  std::vector<std::pair<size_t, std::string>> order;
  for (std::string& name : names) order.emplace_back(edit_distance(wanted, name), std::move(name));
  const size_t shown = std::min(kShown, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end());
  std::vector<std::string> best;
  for (size_t i = 0; i < shown; ++i) best.push_back(order[i].second);
  return fmt::format("{}", fmt::join(best, ", "));
}

void check_frozen(const RunConfig& config, Violations& out) {
  if (config.optimizer.freeze.empty()) return;
  const std::vector<std::vector<std::string>> parameters = tensor_names(config.model);
  std::vector<std::string> names;
  for (const auto& tensors : parameters) names.insert(names.end(), tensors.begin(), tensors.end());
  for (const std::string& pattern : config.optimizer.freeze) {
    const auto matched = [&](const std::string& name) { return matches_glob(pattern, name); };
    if (std::any_of(names.begin(), names.end(), matched)) continue;
    out.push_back({{"optimizer.freeze"},
                   fmt::format("'{}' matches no tensor of the model; the nearest are {}", pattern,
                               nearest_tensors(pattern, names))});
  }
  for (const auto& tensors : parameters) {
    const auto frozen = std::count_if(tensors.begin(), tensors.end(), [&](const auto& name) {
      return matches_any(config.optimizer.freeze, name);
    });
    if (frozen == 0 || frozen == std::ssize(tensors)) continue;
    out.push_back({{"optimizer.freeze"},
                   fmt::format("freezes only {} of {}, which are one matrix in memory; name all of "
                               "them, as in h.*.attn.[qkv].*",
                               frozen, fmt::join(tensors, ", "))});
    break;  // the other layers are alike
  }
}

void check_load(const LoadConfig& load, Violations& out) {
  if (load.weights) return;
  const char* without = "has no meaning without load.weights; name a checkpoint there";
  if (load.vocabulary != LoadConfig::Vocabulary::exact) {
    out.push_back({{"load.vocabulary", "load.weights"}, without});
  }
  if (!load.skip.empty()) out.push_back({{"load.skip", "load.weights"}, without});
}

}  // namespace

Violations cross_check(const RunConfig& config, std::optional<int64_t> world_size) {
  Violations violations;
  check_model(config.model, violations);
  check_lengths(config, violations);
  check_schedule(config, violations);
  check_frozen(config, violations);
  check_load(config.load, violations);
  const std::optional<int64_t> data_ranks = check_mesh(config.mesh, world_size, violations);
  check_batch(config.train, data_ranks, violations);
  check_context_parallel(config, violations);
  check_tensor_parallel(config, data_ranks, violations);
  check_pipeline(config, data_ranks, violations);
  check_recompute(config, violations);
  check_elastic(config, data_ranks, violations);
  check_zero(config, violations);
  check_precision(config, violations);
  check_optimizer(config.optimizer, violations);
  check_cuda(config, violations);
  check_graphs(config, violations);
  if (world_size) check_data(config, violations);
  return violations;
}

}  // namespace weft
