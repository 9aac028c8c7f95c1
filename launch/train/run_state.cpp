#include "launch/train/run_state.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace weft {
namespace {

constexpr int kSchema = 1;

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

void require_tensor(const CheckpointReader& reader, const Region& region, const std::string& kind,
                    DType dtype) {
  const std::optional<TensorInfo> info = reader.find(region.tensor, kind);
  if (!info) {
    fail(ErrorKind::input, "{}: no {} of tensor {}; the checkpoint is of another model",
         reader.path(), kind, region.tensor);
  }
  if (!(info->global_shape == region.tensor_shape) || info->dtype != dtype) {
    fail(ErrorKind::input, "{}: {} of {} is {}{}, the configuration's model needs {}{}",
         reader.path(), kind, region.tensor, name(info->dtype), to_string(info->global_shape),
         name(dtype), to_string(region.tensor_shape));
  }
}

void load_tensor(const CheckpointReader& reader, const Region& region, const std::string& kind,
                 const Elements& local, Device& device, Stream& stream,
                 std::vector<char>& staging) {
  const Tensor target = local.window(region);
  staging.resize(target.bytes());
  reader.read(region.tensor, kind, box_of(region), staging.data());
  device.copy_to_device(target.raw(), staging.data(), target.bytes(), stream);
  stream.synchronize();
}

// A model that uses only some of the checkpoint's tensors would load without a word.
void require_same_size(const CheckpointReader& reader, const ParameterSet& parameters) {
  int64_t saved = 0;
  for (const TensorInfo& t : reader.tensors()) {
    if (t.kind == "weight") saved += t.global_shape.elements();
  }
  if (saved == parameters.global_elements()) return;
  fail(ErrorKind::input,
       "{}: a model of {} parameters, the configuration's has {}; give the model keys their values "
       "from the config.yaml that lies beside the checkpoints",
       reader.path(), saved, parameters.global_elements());
}

}  // namespace

std::string to_json(const RunState& s) {
  nlohmann::ordered_json json{{"schema", kSchema},
                              {"step", s.step},
                              {"consumed_samples", s.consumed_samples},
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
  return json.dump();
}

RunState parse_run_state(const std::string& text, const std::string& path) {
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    if (json.at("schema") != kSchema) {
      fail(ErrorKind::input,
           "{}: run state schema {} is not {}; use the version of weft that wrote it", path,
           json.at("schema").dump(), kSchema);
    }
    RunState s;
    json.at("step").get_to(s.step);
    json.at("consumed_samples").get_to(s.consumed_samples);
    const nlohmann::json& best = json.at("best_validation_loss");
    if (best.is_string()) s.best_validation_loss = std::stod(best.get<std::string>());
    json.at("best_step").get_to(s.best_step);
    json.at("config_digest").get_to(s.config_digest);
    json.at("tokenizer_digest").get_to(s.tokenizer_digest);
    json.at("data_digest").get_to(s.data_digest);
    json.at("seed").get_to(s.seed);
    json.at("batch_size").get_to(s.batch_size);
    json.at("sequence_length").get_to(s.sequence_length);
    return s;
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    fail(ErrorKind::input, "{}: the run state in the manifest is not readable: {}", path,
         error.what());
  }
}

std::vector<Shard> shards_of(const ParameterSet& parameters, const AdamW& optimizer) {
  std::vector<Shard> shards;
  for (const auto& p : parameters) {
    if (!is_owner(p->spec, parameters.coord(), {Axis::tp, Axis::pp})) continue;
    const AdamW::State& state = optimizer.state(p->index);
    const std::vector<Region> held = regions(p->spec, parameters.mesh(), parameters.coord());
    for (const Region& r : clip(held, parameters.share(*p))) {
      const auto add = [&](const char* kind, const Tensor& own) {
        const Tensor t = Elements{own, p->own.begin}.window(r);
        shards.push_back({r.tensor, kind, r.tensor_shape, t.dtype(), box_of(r), t.raw()});
      };
      add("weight", p->own_value);
      add("exp_avg", state.exp_avg);
      add("exp_avg_sq", state.exp_avg_sq);
    }
  }
  return shards;
}

void require_optimizer_state(const CheckpointReader& reader) {
  for (const TensorInfo& t : reader.tensors()) {
    if (t.kind == "exp_avg") return;
  }
  fail(ErrorKind::input,
       "{} holds weights alone, which no run can be resumed from; begin a new one with --init-from",
       reader.path());
}

void require_model(const CheckpointReader& reader, const ParameterSet& parameters, bool optimizer) {
  require_same_size(reader, parameters);
  for (const auto& p : parameters) {
    for (const Region& r : regions(p->spec, parameters.mesh(), parameters.coord())) {
      require_tensor(reader, r, "weight", p->own_value.dtype());
      if (!optimizer) continue;
      require_tensor(reader, r, "exp_avg", DType::f32);
      require_tensor(reader, r, "exp_avg_sq", DType::f32);
    }
  }
}

void load_parameters(const CheckpointReader& reader, ParameterSet& parameters,
                     const AdamW* optimizer, Device& device, Stream& stream) {
  require_model(reader, parameters, optimizer != nullptr);
  std::vector<char> staging;
  for (const auto& p : parameters) {
    const std::vector<Region> held = regions(p->spec, parameters.mesh(), parameters.coord());
    const ParameterSet::Values kept = parameters.kept_values(*p);
    for (const Region& r : clip(held, kept.range)) {
      load_tensor(reader, r, "weight", {kept.elements, kept.range.begin}, device, stream, staging);
    }
    if (optimizer == nullptr) continue;
    const AdamW::State& state = optimizer->state(p->index);
    for (const Region& r : clip(held, p->own)) {
      const auto load = [&](const char* kind, const Tensor& own) {
        load_tensor(reader, r, kind, {own, p->own.begin}, device, stream, staging);
      };
      load("exp_avg", state.exp_avg);
      load("exp_avg_sq", state.exp_avg_sq);
    }
  }
}

}  // namespace weft
