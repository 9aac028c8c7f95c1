#include "launch/interchange/import.h"

#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/directories.h"
#include "core/base/error.h"
#include "core/base/field_text.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/files.h"
#include "core/interchange/gpt2_config.h"
#include "core/interchange/gpt2_layout.h"
#include "core/interchange/input.h"
#include "core/interchange/llmc_model.h"
#include "core/interchange/safetensors.h"
#include "core/model/gpt_specs.h"
#include "data/tokenizer/tokenizer.h"
#include "launch/config/load.h"
#include "launch/host/version.h"
#include "launch/interchange/gpt2_weights.h"
#include "launch/interchange/not_finite.h"
#include "launch/step/run_state.h"
#include "parallel/comm/bootstrap.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

// What the files say of the model, where they say it, and how to read a parameter of it.
struct Source {
  std::optional<GptConfig> model;
  std::string model_path;
  std::function<int64_t()> vocabulary;            // when the model does not say
  std::function<void(const GptConfig&)> require;  // throws unless all is there
  std::function<std::vector<float>(const Gpt2Tensor&)> read;
};

std::string read_small_file(const fs::path& path) {
  constexpr int64_t kLimit = 1 << 20;
  return read_text(open_input(path.string()), kLimit, path.string());
}

Source open_safetensors(const std::string& input) {
  const auto file = std::make_shared<SafetensorsModel>(SafetensorsModel::open(input));
  const fs::path directory = is_directory(input) ? fs::path(input) : fs::path(input).parent_path();
  Source source;
  const fs::path config = directory / "config.json";
  if (leads_somewhere(config.string())) {
    source.model = parse_gpt2_config(read_small_file(config), config.string());
    source.model_path = config.string();
  }
  source.vocabulary = [file] { return gpt2_vocabulary(*file); };
  source.require = [file](const GptConfig& config_now) { require_gpt2(*file, config_now); };
  source.read = [file](const Gpt2Tensor& tensor) { return read_gpt2(*file, tensor); };
  return source;
}

Source open_llmc(const std::string& input) {
  const auto file = std::make_shared<LlmcModel>(LlmcModel::open(input));
  Source source;
  source.model = file->config();
  source.model_path = input;
  source.require = [](const GptConfig&) {};  // the header has said it all
  source.read = [file](const Gpt2Tensor& tensor) { return file->read(tensor.spec); };
  return source;
}

// What the weights compute must not depend on which of the two is believed. Training-time keys may
// differ.
void require_same_model(const GptConfig& theirs, const GptConfig& ours, const Source& source,
                        const std::string& config) {
  const auto require = [&](const char* key, const auto& there, const auto& here) {
    if (there == here) return;
    fail(ErrorKind::config, "{}: model.{} is {}, but {} says {}; take that over, or leave it out",
         config, key, here, source.model_path, there);
  };
  require("vocab_size", *theirs.vocab_size, *ours.vocab_size);
  require("context_length", theirs.context_length, ours.context_length);
  require("layers", theirs.layers, ours.layers);
  require("heads", theirs.heads, ours.heads);
  require("width", theirs.width, ours.width);
  require("mlp_width", theirs.mlp(), ours.mlp());
  require("position", enum_name(theirs.position), enum_name(ours.position));
  require("norm_eps", theirs.norm_eps, ours.norm_eps);
  require("activation", enum_name(theirs.activation), enum_name(ours.activation));
  require("bias", theirs.bias, ours.bias);
  require("tied_head", theirs.tied_head, ours.tied_head);
}

RunConfig config_of(const ImportRequest& request, const Source& source) {
  RunConfig config;
  if (request.config.empty()) {
    if (!source.model) {
      fail(ErrorKind::usage,
           "there is no config.json beside {}, and shapes do not tell the number of heads; give "
           "--config a YAML file with the keys of model",
           request.input);
    }
    config.name = "imported";
    config.model = *source.model;
    return config;
  }
  config = load_config(request.config);
  if (!config.model.vocab_size) {
    config.model.vocab_size = source.model ? source.model->vocab_size : source.vocabulary();
  }
  if (source.model) require_same_model(*source.model, config.model, source, request.config);
  return config;
}

std::unique_ptr<Tokenizer> find_tokenizer(const ImportRequest& request) {
  const bool beside = request.tokenizer.empty();
  if (beside && !is_directory(request.input)) return nullptr;
  const fs::path directory(beside ? request.input : request.tokenizer);
  const fs::path vocab = directory / "vocab.json", merges = directory / "merges.txt";
  if (leads_somewhere(vocab.string()) && leads_somewhere(merges.string())) {
    return load_tokenizer(
        {.kind = "gpt2", .vocab = vocab.string(), .merges = merges.string(), .ranks = {}});
  }
  return beside ? nullptr : open_tokenizer(directory.string());
}

void require_vocabulary(const Tokenizer& tokenizer, const GptConfig& model) {
  if (tokenizer.vocab_size() <= *model.vocab_size) return;
  fail(
      ErrorKind::input,
      "the tokenizer ({}) has more ids than the model's vocabulary of {}; give --tokenizer the one "
      "that the model was trained with",
      tokenizer.description(), *model.vocab_size);
}

// Every parameter's logical tensors, as shards over `memory`.
std::vector<Shard> read_shards(const GptConfig& model, const Source& source,
                               std::vector<std::vector<float>>& memory, NotFinite& not_finite) {
  std::vector<Shard> shards;
  for (const Gpt2Tensor& tensor : gpt2_tensors(model)) {
    memory.push_back(source.read(tensor));
    not_finite.look_at(tensor.name, memory.back());
    const float* data = memory.back().data();
    for (const Part& part : parts_of(tensor.spec)) {
      Shape shape = tensor.spec.shape;
      shape[0] = part.rows;
      shards.push_back({part.name, "weight", shape, DType::f32, whole(shape), data});
      data += shape.elements();
    }
  }
  return shards;
}

}  // namespace

ImportResult import_weights(const ImportRequest& request) {
  if (!list_checkpoints(request.output).empty()) {
    fail(ErrorKind::input, "{} already holds checkpoints; name another directory", request.output);
  }
  const Source source = request.format == WeightFormat::llmc ? open_llmc(request.input)
                                                             : open_safetensors(request.input);
  const RunConfig config = config_of(request, source);
  source.require(config.model);
  const std::unique_ptr<Tokenizer> tokenizer = find_tokenizer(request);
  if (tokenizer) require_vocabulary(*tokenizer, config.model);

  std::vector<Attachment> attachments;
  if (tokenizer) {
    for (TokenizerFile& file : stored_files(*tokenizer)) {
      attachments.push_back({std::move(file.name), std::move(file.bytes)});
    }
  }
  attachments.push_back({kAttachedConfig, to_yaml(config)});
  RunState state;
  state.config_digest = config_digest(config);
  state.tokenizer_digest = tokenizer ? tokenizer->digest() : "";
  state.seed = config.seed;
  state.batch_size = config.train.batch_size;
  state.sequence_length = config.sequence_length();

  std::vector<std::vector<float>> memory;
  NotFinite not_finite;
  const std::vector<Shard> shards = read_shards(config.model, source, memory, not_finite);
  const std::unique_ptr<Bootstrap> alone = make_self_bootstrap();
  const SaveResult saved = save_checkpoint({.directory = request.output,
                                            .step = 0,
                                            .shards = shards,
                                            .run_state_json = to_json(state),
                                            .code_version = std::string(version()),
                                            .attachments = attachments},
                                           *alone);
  std::vector<std::string> notices = not_finite.notices(request.input);
  notices.insert(notices.end(), saved.notices.begin(), saved.notices.end());
  return {.path = saved.path,
          .parameters = parameter_count(config.model),
          .model = fmt::format("{} layers, {} heads, width {}, vocabulary {}, context {}",
                               config.model.layers, config.model.heads, config.model.width,
                               *config.model.vocab_size, config.model.context_length),
          .tokenizer = tokenizer ? tokenizer->description() : "",
          .notices = std::move(notices)};
}

}  // namespace weft
