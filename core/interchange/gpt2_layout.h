// How other programs name and lay out the tensors of a GPT-2, derived from weft's own description
// of its parameters: nothing here lists shapes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/mesh/parameter.h"
#include "core/model/gpt_config.h"

namespace weft {

// One parameter of the model in the words of Hugging Face's GPT2LMHeadModel.
struct Gpt2Tensor {
  ParamSpec spec;              // weft's: matrices [out, in]; q, k and v one matrix
  std::string name;            // "h.0.attn.c_attn.weight", without the prefix "transformer."
  bool transposed = false;     // Conv1D keeps matrices as [in, out]
  std::vector<int64_t> shape;  // there
};

// All parameters in forward order. config.vocab_size must be set.
std::vector<Gpt2Tensor> gpt2_tensors(const GptConfig& config);

// out[columns, rows] = in[rows, columns], of 4-byte elements.
void transpose(const float* in, int64_t rows, int64_t columns, float* out);

}  // namespace weft
