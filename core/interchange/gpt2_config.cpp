#include "core/interchange/gpt2_config.h"

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "core/base/error.h"
#include "core/base/json_text.h"
#include "core/base/strict_json.h"

namespace weft {
namespace {

using Activation = GptConfig::Activation;

// Their names, and what they are; the first of an activation is the one that is written.
constexpr std::array<std::pair<std::string_view, Activation>, 4> kActivations{
    {{"gelu_new", Activation::gelu_tanh},
     {"gelu_pytorch_tanh", Activation::gelu_tanh},
     {"gelu", Activation::gelu},
     {"relu", Activation::relu}}};

// The keys of one config.json, by type, with the defaults of Hugging Face's GPT2Config.
class Keys {
 public:
  Keys(const nlohmann::json& json, const std::string& path) : json_(json), path_(path) {}

  std::optional<int64_t> integer(const char* key, int64_t min, int64_t max) const {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number_integer() || *value < min || *value > max) {
      refuse(key, fmt::format("an integer from {} to {}", min, max));
    }
    return value->get<int64_t>();
  }

  double real(const char* key, double otherwise, double below) const {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_number() || !(value->get<double>() >= 0 && value->get<double>() < below)) {
      refuse(key, fmt::format("a number from 0 to {}", below));
    }
    return value->get<double>();
  }

  bool boolean(const char* key, bool otherwise) const {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) refuse(key, "true or false");
    return value->get<bool>();
  }

  std::string text(const char* key, const std::string& otherwise) const {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_string()) refuse(key, "a text");
    return value->get<std::string>();
  }

  [[noreturn]] void refuse(const char* key, const std::string& legal) const {
    fail(ErrorKind::input, "{}: {} is {}; weft computes {}", path_, key,
         printable(json_text(json_.at(key))), legal);
  }

  int64_t required(const char* key, int64_t min, int64_t max) const {
    const std::optional<int64_t> value = integer(key, min, max);
    if (!value) fail(ErrorKind::input, "{}: lacks {}", path_, key);
    return *value;
  }

 private:
  // A key that is null counts as absent, as it does there.
  const nlohmann::json* find(const char* key) const {
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }

  const nlohmann::json& json_;
  const std::string& path_;
};

Activation activation(const Keys& keys) {
  const std::string name = keys.text("activation_function", "gelu_new");
  for (const auto& [theirs, ours] : kActivations) {
    if (theirs == name) return ours;
  }
  keys.refuse("activation_function", "gelu_new, gelu and relu");
}

void require_plain(const Keys& keys) {
  if (!keys.boolean("scale_attn_weights", true)) keys.refuse("scale_attn_weights", "true");
  for (const char* key : {"scale_attn_by_inverse_layer_idx", "add_cross_attention"}) {
    if (keys.boolean(key, false)) keys.refuse(key, "false");
  }
}

}  // namespace

GptConfig parse_gpt2_config(const std::string& text, const std::string& path) {
  const nlohmann::json json = parse_strict_json(text, path);
  const Keys keys(json, path);
  if (keys.text("model_type", "gpt2") != "gpt2") keys.refuse("model_type", "gpt2");
  require_plain(keys);
  GptConfig config;
  config.vocab_size = keys.required("vocab_size", 1, int64_t{1} << 31);
  config.context_length = keys.integer("n_positions", 1, 1 << 20)
                              .value_or(keys.integer("n_ctx", 1, 1 << 20).value_or(1024));
  config.layers = keys.required("n_layer", 1, 10000);
  config.heads = keys.required("n_head", 1, 4096);
  config.width = keys.required("n_embd", 1, 1 << 18);
  config.mlp_width = keys.integer("n_inner", 1, 1 << 20);
  if (config.width % config.heads != 0) {
    fail(ErrorKind::input, "{}: n_head {} does not divide n_embd {}", path, config.heads,
         config.width);
  }
  config.activation = activation(keys);
  config.norm_eps = keys.real("layer_norm_epsilon", 1e-5, 1.0);
  config.tied_head = keys.boolean("tie_word_embeddings", true);
  config.dropout = keys.real("resid_pdrop", 0.1, 1.0);
  config.init_std = keys.real("initializer_range", 0.02, 1e9);
  return config;
}

std::string gpt2_config_json(const GptConfig& config) {
  WEFT_CHECK(config.vocab_size, "a model without a vocabulary");
  if (!config.bias) {
    fail(ErrorKind::config,
         "a model with model.bias false is no Hugging Face GPT-2, which has biases");
  }
  if (config.position != GptConfig::Position::learned) {
    fail(ErrorKind::config,
         "a model with model.position {} is no Hugging Face GPT-2, which learns its positions",
         enum_name(config.position));
  }
  nlohmann::ordered_json json{{"architectures", {"GPT2LMHeadModel"}},
                              {"model_type", "gpt2"},
                              {"vocab_size", *config.vocab_size},
                              {"n_positions", config.context_length},
                              {"n_ctx", config.context_length},
                              {"n_embd", config.width},
                              {"n_layer", config.layers},
                              {"n_head", config.heads},
                              {"n_inner", nullptr},
                              {"activation_function", "gelu_new"},
                              {"layer_norm_epsilon", config.norm_eps},
                              {"tie_word_embeddings", config.tied_head},
                              {"initializer_range", config.init_std},
                              {"bos_token_id", nullptr},
                              {"eos_token_id", nullptr},
                              {"torch_dtype", "float32"}};
  if (config.mlp() != 4 * config.width) json["n_inner"] = config.mlp();
  for (const auto& [theirs, ours] : kActivations) {
    if (ours != config.activation) continue;
    json["activation_function"] = theirs;
    break;
  }
  for (const char* key : {"resid_pdrop", "embd_pdrop", "attn_pdrop"}) json[key] = config.dropout;
  constexpr int64_t kGpt2Vocabulary = 50257;
  if (config.vocab_size == kGpt2Vocabulary) {  // its last id is <|endoftext|>
    json["bos_token_id"] = json["eos_token_id"] = kGpt2Vocabulary - 1;
  }
  return json_text(json, 2) + "\n";
}

}  // namespace weft
