// The parameters of a GPT: names, shapes, initialisation, decay and roles.
//
// The model says what a parameter is (its Role); how it is cut is said by a PlacementRule from
// outside, so that architecture and parallelism stay apart.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/mesh/parameter.h"
#include "core/model/gpt_config.h"
#include "core/model/gpt_partition.h"

namespace weft {

// What a parameter is to the architecture: "wte.weight", "attn.qkv.weight", ... without the layer;
// and how its rows (dim 0, or dim 1 of a projection's input) may be cut: see Split.
struct Role {
  std::string name;
  std::vector<int64_t> segments;
  int64_t unit = 1;
};
using PlacementRule = std::function<Placement(const Role&)>;

// Every parameter a replica: the rule of a model that no axis cuts.
PlacementRule replicate();

// Registers the parameters of a GPT in forward order. What another pipeline stage holds is null
// here.
class GptParameters {
 public:
  // config.vocab_size must be set.
  GptParameters(const GptConfig& config, const PlacementRule& rule, const GptPartition& partition,
                ParameterSet& set);

  struct Layer {
    Parameter *norm_1_weight, *norm_1_bias;
    Parameter *qkv_weight, *qkv_bias;
    Parameter *projection_weight, *projection_bias;
    Parameter *norm_2_weight, *norm_2_bias;
    Parameter *up_weight, *up_bias;
    Parameter *down_weight, *down_bias;
  };
  Parameter* tokens = nullptr;
  Parameter* positions = nullptr;  // null unless learned
  std::vector<Layer> layers;       // of all blocks
  Parameter *final_norm_weight = nullptr, *final_norm_bias = nullptr;
  Parameter* head = nullptr;  // == tokens when tied; its stage and the embedding's hold it then.
                              // An alias of it where both are one stage and the set asks for that

 private:
  Parameter* tied_head(const GptPartition& partition, ParameterSet& set) const;
};

// The logical tensors of each parameter of a GPT in forward order: one name, or several where
// tensors are one matrix in memory (q, k and v).
std::vector<std::vector<std::string>> tensor_names(const GptConfig& config);

}  // namespace weft
