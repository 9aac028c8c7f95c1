#include "core/model/generator.h"

#include <limits>

namespace weft {

struct Generator::Memory {
  Memory()
      : weights("weights"),
        state("state"),
        activations("activations"),
        workspace("workspace"),
        deferred("deferred"),
        saved(activations, deferred) {}
  Memory(Device& device, const Memory& plan)
      : weights("weights", device, plan.weights.peak()),
        state("state", device, plan.state.peak()),
        activations("activations", device, plan.activations.peak()),
        workspace("workspace", device, plan.workspace.peak()),
        deferred("deferred", device, 0),
        saved(activations, deferred) {}

  Arena weights, state, activations, workspace, deferred;
  Saved saved;
};

Generator::Generator(const GptConfig& config, DType dtype, Device& device, Stream& compute,
                     Ops& ops)
    : config_(config),
      dtype_(dtype),
      device_(device),
      stream_(compute),
      ops_(ops),
      parameters_(MeshShape{}, MeshCoord{}),
      model_(config, GptPartition::whole(config.layers), parameters_),
      host_logits_(device.allocate_host(static_cast<size_t>(*config.vocab_size) * sizeof(float))) {
  Memory plan;
  lay_out(plan);
  const std::unique_ptr<Ops> counting = make_counting_ops(ops.working_memory());
  Context ctx{.ops = *counting,
              .stream = stream_,
              .work = plan.workspace,
              .dtype = dtype_,
              .samples = 1,
              .tokens = TokenShare::whole(config.context_length)};
  const Tensor longest = tokens_.view({1, config.context_length});
  model_.decode(longest, 0, caches_, logits_, plan.saved, ctx);
  model_.last_logits(longest, logits_, plan.saved, ctx);
  ops.reserve(counting->reserved());
  memory_ = std::make_unique<Memory>(device, plan);
  lay_out(*memory_);
}

Generator::~Generator() = default;

void Generator::lay_out(Memory& memory) {
  parameters_.allocate(memory.weights, nullptr, dtype_);
  model_.allocate_constants(memory.weights, dtype_, device_, stream_);
  caches_.clear();
  const Shape cache{1, config_.context_length, config_.heads * config_.head_dim()};
  for (int64_t i = 0; i < config_.layers; ++i) {
    const Tensor k = memory.state.allocate(cache, dtype_);
    caches_.push_back({k, memory.state.allocate(cache, dtype_)});
  }
  tokens_ = memory.state.allocate({config_.context_length}, DType::i32);
  logits_ = memory.state.allocate({1, *config_.vocab_size}, DType::f32);
}

std::span<float> Generator::compute_logits(std::span<const int32_t> window, int64_t cached,
                                           bool use_cache) {
  const std::span<const int32_t> fresh =
      use_cache ? window.subspan(static_cast<size_t>(cached)) : window;
  const auto count = static_cast<int64_t>(fresh.size());
  Context ctx{.ops = ops_,
              .stream = stream_,
              .work = memory_->workspace,
              .dtype = dtype_,
              .samples = 1,
              .tokens = TokenShare::whole(count)};
  device_.copy_to_device(tokens_.raw(), fresh.data(), fresh.size_bytes(), stream_);
  const Tensor tokens = tokens_.slice(0, count).view({1, count});
  if (use_cache) {
    model_.decode(tokens, cached, caches_, logits_, memory_->saved, ctx);
  } else {
    model_.last_logits(tokens, logits_, memory_->saved, ctx);
  }
  auto* host = static_cast<float*>(host_logits_->data());
  device_.copy_to_host(host, logits_.raw(), logits_.bytes(), stream_);
  stream_.synchronize();
  return {host, static_cast<size_t>(logits_.elements())};
}

void Generator::generate(std::span<const int32_t> prompt, const GenerationOptions& options,
                         const std::function<void(int32_t)>& emit) {
  if (prompt.empty()) fail(ErrorKind::usage, "the prompt is empty; give at least one token");
  for (const int32_t id : prompt) {
    if (id < 0 || id >= *config_.vocab_size) {
      fail(ErrorKind::input, "prompt token {} is outside the model's vocabulary of {}", id,
           *config_.vocab_size);
    }
  }
  constexpr float kImpossible = -std::numeric_limits<float>::infinity();
  Sampler sampler(options.sampling, *config_.vocab_size);
  std::vector<int32_t> text(prompt.begin(), prompt.end());
  const auto context = static_cast<size_t>(config_.context_length);
  size_t begin = text.size() > context ? text.size() - context : 0;  // of the window in text
  int64_t cached = 0;
  for (int64_t i = 0; i < options.max_tokens; ++i) {
    if (text.size() - begin > context) {
      begin = text.size() - std::max<size_t>(context / 2, 1);
      cached = 0;
    }
    const std::span<const int32_t> window = std::span(text).subspan(begin);
    const std::span<float> logits = compute_logits(window, cached, options.use_cache);
    for (const int32_t id : options.never) logits[static_cast<size_t>(id)] = kImpossible;
    cached = static_cast<int64_t>(window.size());
    const int32_t next = sampler.sample(logits, i);
    if (options.stop && next == *options.stop) return;
    emit(next);
    text.push_back(next);
  }
}

}  // namespace weft
