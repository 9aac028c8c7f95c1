// The parameters of a GPT: the only list of them. The model registers it, and whoever must know a
// parameter's name, shape, initial values, decay, cut or unit reads it, without a model.
#pragma once

#include <string>
#include <vector>

#include "core/mesh/placement.h"
#include "core/model/gpt_config.h"

namespace weft {

// In forward order, for any mesh; ParamSpec::stages are left open, which a partition says.
// config.vocab_size must be set. GPT-2's rules: weights normal(0, init_std), the two projections
// into the residual stream shrunk by 1/sqrt(2 layers), biases zero, norm weights one; matrices
// decay, vectors do not.
std::vector<ParamSpec> gpt_specs(const GptConfig& config);

// Number of trainable elements, a tied head counted once. Requires config.vocab_size to be set.
// GPT-2 124M, 350M, 774M and 1.5B are 124,439,808; 354,823,168; 774,030,080 and 1,557,611,200.
int64_t parameter_count(const GptConfig& config);

// Multiplications of a token in the forward products of a unit with its weights; a tied table
// counts in the head alone, since the embedding looks it up.
double products_per_token(const std::vector<ParamSpec>& specs, int64_t unit);

// Floating-point operations of forward and backward per token at sequence length T, PaLM's
// convention (arXiv 2204.02311, appendix B): 6 N + 12 L C T, N without tables that are only looked
// up.
double flops_per_token(const GptConfig& config, int64_t sequence_length);

// The logical tensors of each parameter in forward order: one name, or several where tensors are
// one matrix in memory (q, k and v). Any vocabulary size will do, or none.
std::vector<std::vector<std::string>> tensor_names(const GptConfig& config);

}  // namespace weft
