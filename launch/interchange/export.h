// A checkpoint's weights in the form that Hugging Face's GPT2LMHeadModel loads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weft {

struct ExportResult {
  std::vector<std::string> files;  // names, in the order written
  int64_t tensors = 0;
  int64_t bytes = 0;                 // of their data
  std::vector<std::string> notices;  // of weights that are no numbers
};

// Writes model.safetensors, or shards of at most `max_shard_bytes` of data and their index where
// one file would be larger; config.json; and the tokenizer's vocab.json and merges.txt where the
// checkpoint carries them. A tensor larger than a shard gets one of its own. `output` is a
// directory that is not there yet or empty; it appears when it is complete. The same weights give
// the same bytes. Holds one tensor in memory. Throws Error{input} on a damaged checkpoint,
// Error{config} when the model is no GPT-2, Error{io}.
ExportResult export_safetensors(const std::string& checkpoint, const std::string& output,
                                int64_t max_shard_bytes);

}  // namespace weft
