// The weights of a Hugging Face GPT-2 by weft's parameters.
#pragma once

#include <string_view>
#include <vector>

#include "core/interchange/gpt2_layout.h"
#include "core/interchange/safetensors.h"
#include "core/model/gpt_config.h"

namespace weft {

inline constexpr std::string_view kGpt2Prefix = "transformer.";  // of all names but the head's
inline constexpr char kGpt2Head[] = "lm_head.weight";

// Throws Error{input} unless the file holds exactly the tensors of `config`'s model, in their
// shapes and in types that become f32 exactly. Masks are passed over, and so is a head that is tied
// and equal to the embedding.
void require_gpt2(const SafetensorsModel& file, const GptConfig& config);

// A parameter in weft's layout; the file is one that require_gpt2 accepts.
std::vector<float> read_gpt2(const SafetensorsModel& file, const Gpt2Tensor& tensor);

// Number of rows of the token embedding. Throws Error{input} when the file has none.
int64_t gpt2_vocabulary(const SafetensorsModel& file);

}  // namespace weft
