#include "launch/interchange/export.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/json_text.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/manifest.h"
#include "core/interchange/gpt2_config.h"
#include "core/interchange/gpt2_layout.h"
#include "core/interchange/safetensors.h"
#include "launch/interchange/gpt2_weights.h"
#include "launch/interchange/not_finite.h"
#include "launch/step/run_state.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

using Shards = std::vector<std::vector<SafetensorsTensor>>;

constexpr const char* kTokenizerFiles[] = {"vocab.json", "merges.txt"};  // also read there

bool carries(const CheckpointReader& reader, const std::string& name) {
  const auto& files = reader.manifest().attached;
  return std::any_of(files.begin(), files.end(), [&](const auto& f) { return f.name == name; });
}

GptConfig model_of(const CheckpointReader& reader) {
  if (!carries(reader, kAttachedConfig)) {
    fail(ErrorKind::input, "{} carries no {}, which says how many heads its model has",
         reader.path(), kAttachedConfig);
  }
  return attached_config(reader).model;
}

// The whole parameter in weft's layout, from its logical tensors.
std::vector<float> read_parameter(const CheckpointReader& reader, const ParamSpec& spec) {
  std::vector<float> values(static_cast<size_t>(spec.shape.elements()));
  int64_t at = 0;
  for (const Part& part : parts_of(spec)) {
    Shape shape = spec.shape;
    shape[0] = part.rows;
    const auto info = reader.find(part.name, "weight");
    if (!info || info->global_shape != shape || info->dtype != DType::f32) {
      fail(ErrorKind::input,
           "{} has no f32 weight {} of shape {}, which its configuration promises", reader.path(),
           part.name, to_string(shape));
    }
    reader.read(part.name, "weight", whole(shape), values.data() + at);
    at += shape.elements();
  }
  return values;
}

void fill_tensor(const CheckpointReader& reader, const Gpt2Tensor& tensor, std::span<std::byte> out,
                 NotFinite& not_finite) {
  const std::vector<float> values = read_parameter(reader, tensor.spec);
  not_finite.look_at(tensor.name, values);
  auto* target = reinterpret_cast<float*>(out.data());
  if (tensor.transposed) {
    transpose(values.data(), tensor.spec.shape[0], tensor.spec.shape[1], target);
  } else {
    std::copy(values.begin(), values.end(), target);
  }
}

// In model order, as many tensors to a shard as fit.
Shards share_out(const std::vector<SafetensorsTensor>& tensors, int64_t max_bytes) {
  Shards shards;
  int64_t bytes = 0;
  for (const SafetensorsTensor& t : tensors) {
    if (shards.empty() || bytes + t.bytes() > max_bytes) {
      shards.emplace_back();
      bytes = 0;
    }
    shards.back().push_back(t);
    bytes += t.bytes();
  }
  for (auto& shard : shards) sort_for_safetensors(shard);
  return shards;
}

std::string shard_name(size_t index, size_t count) {
  if (count == 1) return "model.safetensors";
  return fmt::format("model-{:05}-of-{:05}.safetensors", index + 1, count);
}

std::string index_json(const Shards& shards, int64_t bytes) {
  nlohmann::json json{{"metadata", {{"total_size", bytes}}}};
  for (size_t i = 0; i < shards.size(); ++i) {
    for (const SafetensorsTensor& t : shards[i]) {
      json["weight_map"][t.name] = shard_name(i, shards.size());
    }
  }
  return json_text(json, 2) + "\n";
}

// A directory that gets its name when everything lies in it.
class Staging {
 public:
  explicit Staging(const std::string& output) : output_(output), writer_(nullptr) {
    while (output_.size() > 1 && output_.ends_with('/')) output_.pop_back();
    staged_ = fmt::format("{}.tmp-{}", output_, ::getpid());
    std::error_code error;
    const bool empty = fs::is_directory(output_, error) && fs::is_empty(output_, error);
    if (is_there(output_) && !empty) {
      fail(ErrorKind::input, "{} is there already; name a new directory, or remove it", output_);
    }
    writer_.make_directory(staged_);
  }
  ~Staging() {
    std::error_code ignored;
    fs::remove_all(staged_, ignored);
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  std::string path(const std::string& name) {
    names_.push_back(name);
    return staged_ + "/" + name;
  }
  void put(const std::string& name, const std::string& text) {
    writer_.put_file(path(name), std::as_bytes(std::span(text)));
  }
  std::vector<std::string> publish() {
    writer_.sync_directory(staged_);
    writer_.rename(staged_, output_);
    const std::string above = fs::path(output_).parent_path().string();
    writer_.sync_directory(above.empty() ? "." : above);
    return names_;
  }

 private:
  std::string output_, staged_;
  FileWriter writer_;
  std::vector<std::string> names_;
};

}  // namespace

ExportResult export_safetensors(const std::string& checkpoint, const std::string& output,
                                int64_t max_shard_bytes) {
  const CheckpointReader reader = CheckpointReader::open(checkpoint);
  const GptConfig model = model_of(reader);
  const std::string config_json = gpt2_config_json(model);  // refuses what is no GPT-2
  std::map<std::string, Gpt2Tensor> sources;
  std::vector<SafetensorsTensor> tensors;
  ExportResult result;
  for (Gpt2Tensor& t : gpt2_tensors(model)) {
    const std::string name = t.name == kGpt2Head ? t.name : std::string(kGpt2Prefix) + t.name;
    tensors.push_back({name, DType::f32, t.shape});
    result.bytes += tensors.back().bytes();
    sources.emplace(name, std::move(t));
  }
  result.tensors = std::ssize(tensors);
  const Shards shards = share_out(tensors, max_shard_bytes);
  NotFinite not_finite;
  Staging staging(output);
  for (size_t i = 0; i < shards.size(); ++i) {
    write_safetensors(staging.path(shard_name(i, shards.size())), shards[i],
                      [&](const SafetensorsTensor& t, std::span<std::byte> out) {
                        fill_tensor(reader, sources.at(t.name), out, not_finite);
                      });
  }
  if (shards.size() > 1) {
    staging.put("model.safetensors.index.json", index_json(shards, result.bytes));
  }
  staging.put("config.json", config_json);
  for (const char* name : kTokenizerFiles) {
    if (carries(reader, name)) staging.put(name, reader.attachment(name));
  }
  result.files = staging.publish();
  result.notices = not_finite.notices(output);
  return result;
}

}  // namespace weft
