// Weights of other programs as a checkpoint: step 0, no optimizer state.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weft {

enum class WeightFormat { safetensors, llmc };

struct ImportRequest {
  WeightFormat format = WeightFormat::safetensors;
  std::string input;   // a file; of safetensors also an index or a directory
  std::string config;  // a run's YAML file; empty: the model is taken from the files
  std::string
      tokenizer;       // a directory: weft's, or one with vocab.json and merges.txt; may be empty
  std::string output;  // directory of the checkpoint, without checkpoints so far
};

struct ImportResult {
  std::string path;  // of the checkpoint
  int64_t parameters = 0;
  std::string model;      // in words
  std::string tokenizer;  // in words; empty when none was found
  std::vector<std::string> notices;
};

// Reads Hugging Face's GPT-2 (names with or without "transformer."; f32, bf16 or f16, kept exactly
// as f32) or a model of llm.c, and saves it. The model comes from config.json beside the weights or
// the header of llm.c's file, or from `config`, which must not contradict them. All weights are in
// memory once. Every tensor of the model must be there in its shape and no other, but for the masks
// that old files hold. Throws Error{input}, {config} or {io}.
ImportResult import_weights(const ImportRequest& request);

}  // namespace weft
