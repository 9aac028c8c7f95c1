#include "launch/step/run_state.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/json_text.h"
#include "core/checkpoint/manifest.h"
#include "core/mesh/upload.h"
#include "launch/config/load.h"

namespace weft {
namespace {

constexpr int kSchema = 1;
constexpr char kWeight[] = "weight";

Box box_of(const Region& region) { return {region.offset, region.extent}; }

// Elements of a parameter, flat, from local element `begin` on.
struct Elements {
  Tensor values;
  int64_t begin = 0;

  // A window on what `region` describes.
  Tensor window(const Region& region) const {
    const int64_t at = region.local_begin - begin;
    return values.slice(at, at + region.extent.elements());
  }
};

void require_tensor(const CheckpointReader& reader, const Region& region, std::string_view kind,
                    DType dtype) {
  const std::optional<TensorInfo> info = reader.find(region.tensor, kind);
  if (!info) {
    fail(ErrorKind::input, "{}: no {} of tensor {}; the checkpoint is of another model",
         reader.path(), kind, region.tensor);
  }
  if (!(info->global_shape == region.tensor_shape) || info->dtype != dtype) {
    fail(ErrorKind::input, "{}: {} of {} is {}{}, the configuration's model needs {}{}{}",
         reader.path(), kind, region.tensor, name(info->dtype), to_string(info->global_shape),
         name(dtype), to_string(region.tensor_shape),
         info->dtype == dtype || kind == kWeight ? "" : "; give optimizer.state_dtype its value");
  }
}

// What it holds for each tensor beside the weight says which kind of optimizer wrote a checkpoint.
void require_state(const CheckpointReader& reader, const Region& region, const StateTensor& state) {
  if (!reader.find(region.tensor, state.kind)) {
    std::vector<std::string> held;
    for (const TensorInfo& t : reader.tensors()) {
      if (t.name == region.tensor && t.kind != kWeight) held.push_back(t.kind);
    }
    fail(
        ErrorKind::input,
        "{}: no {} of tensor {}, but {}: it was written with another optimizer.kind; give that its "
        "value from the config.yaml that lies beside the checkpoints, or begin a new run with its "
        "weights (--init-from)",
        reader.path(), state.kind, region.tensor, fmt::join(held, " and "));
  }
  require_tensor(reader, region, state.kind, state.own.dtype());
}

void load_tensor(const CheckpointReader& reader, const Region& region, std::string_view kind,
                 const Elements& local, Device& device, Stream& stream,
                 std::vector<char>& staging) {
  const Tensor target = local.window(region);
  if (target.dtype() != DType::f32 && kind == kWeight) {  // in inference
    std::vector<float> f32(static_cast<size_t>(target.elements()));
    reader.read(region.tensor, kind, box_of(region), f32.data());
    upload(f32, target, device, stream);
    return;
  }
  staging.resize(target.bytes());
  reader.read(region.tensor, kind, box_of(region), staging.data());
  device.copy_to_device(target.raw(), staging.data(), target.bytes(), stream);
  stream.synchronize();
}

// A model that uses only some of the checkpoint's tensors would load without a word.
void require_same_size(const CheckpointReader& reader, const ParameterSet& parameters) {
  int64_t saved = 0;
  for (const TensorInfo& t : reader.tensors()) {
    if (t.kind == kWeight) saved += t.global_shape.elements();
  }
  if (saved == parameters.global_elements()) return;
  fail(ErrorKind::input,
       "{}: a model of {} parameters, the configuration's has {}; give the model keys their values "
       "from the config.yaml that lies beside the checkpoints",
       reader.path(), saved, parameters.global_elements());
}

// A count that no run exceeds, so that sums and products with others stay within 64 bits.
constexpr int64_t kLargestCount = int64_t{1} << 40;

void require_ranges(const RunState& s) {
  const auto require = [](const char* key, int64_t value, int64_t least, int64_t most) {
    if (value >= least && value <= most) return;
    fail(ErrorKind::input, "{} is {}, not within [{}, {}]", key, value, least, most);
  };
  require("step", s.step, 0, kLargestCount);
  require("consumed_samples", s.consumed_samples, 0, kLargestCount);
  require("updates", s.updates.made, 0, s.step);
  require("skipped_steps", s.updates.skipped, 0, s.step);
  require("updates_at_loss_scale", s.updates.good, 0, kLargestCount);
  require("best_step", s.best_step, 0, s.step);
  require("batch_size", s.batch_size, 0, kLargestCount);
  require("sequence_length", s.sequence_length, 0, kLargestCount);
  const auto scale = s.updates.loss_scale;
  if (scale && !(std::isfinite(*scale) && *scale > 0)) {
    fail(ErrorKind::input, "loss_scale is {}, not a positive number", *scale);
  }
}

}  // namespace

RunConfig attached_config(const CheckpointReader& reader) {
  return parse_config(reader.attachment(kAttachedConfig),
                      fmt::format("{}/{}/{}", reader.path(), kAttachedDirectory, kAttachedConfig));
}

std::string to_json(const RunState& s) {
  nlohmann::ordered_json json{{"schema", kSchema},
                              {"step", s.step},
                              {"consumed_samples", s.consumed_samples},
                              {"updates", s.updates.made},
                              {"skipped_steps", s.updates.skipped},
                              {"loss_scale", nullptr},
                              {"updates_at_loss_scale", s.updates.good},
                              {"best_validation_loss", nullptr},
                              {"best_step", s.best_step},
                              {"config_digest", s.config_digest},
                              {"tokenizer_digest", s.tokenizer_digest},
                              {"data_digest", s.data_digest},
                              {"seed", s.seed},
                              {"batch_size", s.batch_size},
                              {"sequence_length", s.sequence_length}};
  if (s.best_validation_loss) {
    json["best_validation_loss"] = fmt::format("{:a}", *s.best_validation_loss);
  }
  if (s.evaluation_is_owed) json["evaluation_is_owed"] = true;
  if (s.updates.loss_scale) json["loss_scale"] = fmt::format("{:a}", *s.updates.loss_scale);
  return json_text(json);
}

RunState parse_run_state(const std::string& text, const std::string& path) {
  try {
    const nlohmann::json json = parse_json(text);
    if (json.at("schema") != kSchema) {
      fail(ErrorKind::input, "schema {} is not {}; use the version of weft that wrote it",
           json_text(json.at("schema")), kSchema);
    }
    RunState s;
    json.at("step").get_to(s.step);
    json.at("consumed_samples").get_to(s.consumed_samples);
    // Without these keys every step was an update.
    s.updates.made = json.value("updates", s.step);
    s.updates.skipped = json.value("skipped_steps", int64_t{0});
    s.updates.good = json.value("updates_at_loss_scale", int64_t{0});
    if (json.contains("loss_scale") && json["loss_scale"].is_string()) {
      s.updates.loss_scale = std::stof(json["loss_scale"].get<std::string>());
    }
    const nlohmann::json& best = json.at("best_validation_loss");
    if (best.is_string()) s.best_validation_loss = std::stod(best.get<std::string>());
    json.at("best_step").get_to(s.best_step);
    s.evaluation_is_owed = json.value("evaluation_is_owed", false);
    json.at("config_digest").get_to(s.config_digest);
    json.at("tokenizer_digest").get_to(s.tokenizer_digest);
    json.at("data_digest").get_to(s.data_digest);
    json.at("seed").get_to(s.seed);
    json.at("batch_size").get_to(s.batch_size);
    json.at("sequence_length").get_to(s.sequence_length);
    require_ranges(s);
    return s;
  } catch (const Error& error) {
    fail(error.kind(), "{}: the run state in the manifest: {}", path, error.what());
  } catch (const std::exception& error) {
    fail(ErrorKind::input, "{}: the run state in the manifest is not readable: {}", path,
         error.what());
  }
}

RunState run_state_of(const CheckpointReader& reader) {
  RunState state = parse_run_state(reader.run_state_json(), reader.path());
  if (state.step != reader.step()) {
    fail(ErrorKind::input,
         "{} is of step {}, its run state of step {}; it was put together by hand", reader.path(),
         reader.step(), state.step);
  }
  return state;
}

std::vector<Shard> shards_of(const ParameterSet& parameters, const Optimizer& optimizer) {
  std::vector<Shard> shards;
  for (const auto& p : parameters) {
    if (!is_owner(p->spec, parameters.coord(), every_axis() - replica_axes(p->spec))) continue;
    const std::vector<Region> held = regions(p->spec, parameters.mesh(), parameters.coord());
    for (const Region& r : clip(held, parameters.share(*p))) {
      const auto add = [&](std::string_view kind, const Tensor& own) {
        const Tensor t = Elements{own, p->own.begin}.window(r);
        shards.push_back(
            {r.tensor, std::string(kind), r.tensor_shape, t.dtype(), box_of(r), t.raw()});
      };
      add(kWeight, p->own_master);
      for (const StateTensor& state : optimizer.states(*p)) add(state.kind, state.own);
    }
  }
  return shards;
}

void require_optimizer_state(const CheckpointReader& reader) {
  for (const TensorInfo& t : reader.tensors()) {
    if (t.kind != kWeight) return;
  }
  fail(ErrorKind::input,
       "{} holds weights alone, which no run can be resumed from; begin a new one with --init-from",
       reader.path());
}

void require_model(const CheckpointReader& reader, const ParameterSet& parameters,
                   const Optimizer* optimizer) {
  require_same_size(reader, parameters);
  for (const auto& p : parameters) {
    for (const Region& r : regions(p->spec, parameters.mesh(), parameters.coord())) {
      require_tensor(reader, r, kWeight, DType::f32);
      if (optimizer == nullptr) continue;
      for (const StateTensor& state : optimizer->states(*p)) {
        require_state(reader, r, state);
      }
    }
  }
}

void load_parameters(const CheckpointReader& reader, ParameterSet& parameters,
                     const Optimizer* optimizer, Device& device, Stream& stream) {
  require_model(reader, parameters, optimizer);
  std::vector<char> staging;
  for (const auto& p : parameters) {
    const std::vector<Region> held = regions(p->spec, parameters.mesh(), parameters.coord());
    const ParameterSet::Values kept = parameters.kept_values(*p);
    for (const Region& r : clip(held, kept.range)) {
      load_tensor(reader, r, kWeight, {kept.elements, kept.range.begin}, device, stream, staging);
    }
    if (optimizer == nullptr) continue;
    for (const Region& r : clip(held, p->own)) {
      for (const StateTensor& state : optimizer->states(*p)) {
        load_tensor(reader, r, state.kind, {state.own, p->own.begin}, device, stream, staging);
      }
    }
  }
}

}  // namespace weft
