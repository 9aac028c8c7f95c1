// What of a run a checkpoint holds besides tensors, and which tensors it holds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/mesh/parameter.h"
#include "launch/config/run_config.h"
#include "optim/optimizer.h"
#include "optim/update_control.h"

namespace weft {

// Name of the effective configuration among a checkpoint's attachments; a tokenizer's files lie
// beside it.
inline constexpr char kAttachedConfig[] = "config.yaml";

// The configuration that a checkpoint carries; nothing of it is read from elsewhere. Throws Error
// when it is damaged, or none that this version of weft knows.
RunConfig attached_config(const CheckpointReader& reader);

struct RunState {
  int64_t step = 0;              // done
  int64_t consumed_samples = 0;  // step * batch size
  UpdateControl::State updates;  // made and skipped, which add up to step; the loss scale
  std::optional<double> best_validation_loss;
  int64_t best_step = 0;
  bool evaluation_is_owed = false;  // after `step`: it was given up
  std::string config_digest;
  std::string tokenizer_digest;  // empty when the data names none
  std::string data_digest;
  // Keys on which the continuation of the run depends: seed, batch and data order.
  int64_t seed = 0;
  int64_t batch_size = 0;
  int64_t sequence_length = 0;
};

std::string to_json(const RunState& state);
// Inverse; throws Error{input} naming `path` when a key is missing, of another type or out of its
// range.
RunState parse_run_state(const std::string& json, const std::string& path);

// That of a checkpoint, which is of the checkpoint's step. Throws Error{input}.
RunState run_state_of(const CheckpointReader& reader);

// This rank's part of weights and optimizer state, as windows on their memory: its share among the
// ranks that hold the same. Over all ranks each element occurs once.
std::vector<Shard> shards_of(const ParameterSet& parameters, const Optimizer& optimizer);

// Throws Error{input} when a checkpoint holds weights alone, as an imported one does.
void require_optimizer_state(const CheckpointReader& reader);

// Throws Error{input} unless the checkpoint has exactly the weights of the model, in its shapes,
// and, unless `optimizer` is null, its states in their types. Reads the manifest only.
void require_model(const CheckpointReader& reader, const ParameterSet& parameters,
                   const Optimizer* optimizer);

// Fills this rank's weights (and, unless null, its optimizer state) from a checkpoint of any
// layout that has them (require_model): master weights, where a run computes with rounded ones,
// which Engine::restore() then makes; without masters, weights rounded to nearest. Throws
// Error{input} when what it reads is damaged.
void load_parameters(const CheckpointReader& reader, ParameterSet& parameters,
                     const Optimizer* optimizer, Device& device, Stream& stream);

}  // namespace weft
