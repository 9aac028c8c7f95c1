// Generator: text from a trained GPT, one sequence on one rank.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/model/gpt.h"
#include "core/model/sampling.h"

namespace weft {

struct GenerationOptions {
  SamplingOptions sampling;
  int64_t max_tokens = 100;     // generated at most
  std::optional<int32_t> stop;  // ends generation; not emitted
  std::vector<int32_t> never;   // ids that are not drawn, such as those that stand for no text
  bool use_cache = true;        // keys and values of earlier tokens are kept, not recomputed
};

class Generator {
 public:
  // Allocates memory for weights, caches and the longest prompt; weights are then in parameters()
  // to be loaded. `dtype` is that of weights and activations. Everything given is borrowed.
  Generator(const GptConfig& config, DType dtype, Device& device, Stream& compute, Ops& ops);
  ~Generator();

  ParameterSet& parameters() { return parameters_; }

  // Continues `prompt` (at least one token, each in the vocabulary) and calls emit for each new
  // token as it comes. When the context is full, the earlier half of it is dropped. Throws
  // Error{input} when the weights give logits that are not finite.
  void generate(std::span<const int32_t> prompt, const GenerationOptions& options,
                const std::function<void(int32_t)>& emit);

 private:
  struct Memory;

  void lay_out(Memory& memory);
  // Logits after `window`, of which the first `cached` tokens are in the caches; on the host, until
  // the next call.
  std::span<float> compute_logits(std::span<const int32_t> window, int64_t cached, bool use_cache);

  GptConfig config_;
  DType dtype_;
  Device& device_;
  Stream& stream_;
  Ops& ops_;
  ParameterSet parameters_;
  Gpt model_;
  std::unique_ptr<Memory> memory_;
  std::vector<KvCache> caches_;
  Tensor tokens_;                        // [context] i32
  Tensor logits_;                        // [1,V]
  std::unique_ptr<Buffer> host_logits_;  // of the device's own kind of host memory
};

}  // namespace weft
