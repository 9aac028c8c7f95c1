// A trained model from a checkpoint, ready to generate on one rank.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/model/generator.h"
#include "data/tokenizer/tokenizer.h"
#include "launch/config/run_config.h"

namespace weft {

struct TrainedModel {
  std::string path;  // of the checkpoint
  int64_t step = 0;
  RunConfig config;
  std::unique_ptr<Device> device;
  std::unique_ptr<Stream> compute;
  std::unique_ptr<Ops> ops;
  std::unique_ptr<Tokenizer> tokenizer;  // null when the checkpoint carries none
  std::unique_ptr<Generator> generator;
  std::vector<std::string> notices;  // damaged checkpoints that were passed over
};

// Loads the weights of a step_N directory, or of the newest intact checkpoint in a directory of
// them, onto `where`, or where the checkpoint's configuration says. Throws Error{input}, and
// Error{environment} where there is no such device.
TrainedModel load_trained_model(const std::string& path, std::optional<DeviceKind> where = {});

}  // namespace weft
