// Model files of llm.c, such as gpt2_124M.bin: 256 little-endian int32 (magic, version, longest
// sequence, vocabulary, layers, heads, width, padded vocabulary), then the tensors without names,
// each kind for all layers. Version 3 holds f32, version 5 bf16.
#pragma once

#include <string>
#include <vector>

#include "core/checkpoint/files.h"
#include "core/mesh/placement.h"
#include "core/model/gpt_config.h"

namespace weft {

class LlmcModel {
 public:
  // Checks the header, and the size of the file against it. Throws Error{input}.
  static LlmcModel open(const std::string& path);

  const GptConfig& config() const { return config_; }

  // A parameter of this model in weft's layout, without the rows that pad the vocabulary. Throws
  // Error{input} when the file has been cut short since.
  std::vector<float> read(const ParamSpec& spec) const;

 private:
  LlmcModel() = default;

  std::string path_;
  FileDescriptor file_;
  GptConfig config_;
  int64_t padded_vocabulary_ = 0;
  int64_t element_bytes_ = 4;
};

}  // namespace weft
