// config.json, which lies beside the weights of a Hugging Face GPT-2.
#pragma once

#include <string>

#include "core/model/gpt_config.h"

namespace weft {

// The model that a config.json describes. Throws Error{input} naming `path` and the key when it is
// no GPT-2, or one that weft does not compute: other activations, scaled attention,
// cross-attention.
GptConfig parse_gpt2_config(const std::string& text, const std::string& path);

// The config.json of a model; what Hugging Face's GPT2LMHeadModel needs to compute the same.
// config.vocab_size must be set. Throws Error{config} when it cannot be one: no biases, or no
// learned positions.
std::string gpt2_config_json(const GptConfig& config);

}  // namespace weft
