// SmallGpt: a GPT with memory and a batch of random tokens, for tests of the model as a whole.
//
//   SmallGpt gpt({.layers = 2, .heads = 2, .width = 8, ...}, DType::f64);
//   double loss = gpt.forward_backward();      // gradients in gpt.parameters
#pragma once

#include <memory>
#include <vector>

#include "core/backends/backends.h"
#include "core/base/philox.h"
#include "core/model/gpt.h"
#include "core/nn/saved.h"

namespace weft {

class SmallGpt {
 public:
  static constexpr int64_t kBatch = 2;
  static constexpr int64_t kLength = 5;

  SmallGpt(const GptConfig& config, DType dtype, int threads = 1)
      : device(make_device({.threads = threads})),
        stream(device->make_stream(StreamKind::compute)),
        ops(make_ops(*device)),
        parameters(MeshShape{}, MeshCoord{}),
        model(config, GptPartition::whole(config.layers), parameters),
        dtype_(dtype),
        weights_("weights", *device, kBytes),
        gradients_("gradients", *device, kBytes),
        activations_("activations", *device, kBytes),
        deferred_("deferred", *device, kBytes),
        work_("work", *device, kBytes),
        saved(activations_, deferred_) {
    parameters.allocate(weights_, &gradients_, dtype);
    model.allocate_constants(weights_, dtype, *device, *stream);
    parameters.initialize(5, *device, *stream);
    grad_ = work_.allocate({kBatch * kLength, config.width}, dtype);
    tokens = work_.allocate({kBatch, kLength}, DType::i32);
    targets = work_.allocate({kBatch, kLength}, DType::i32);
    loss_sum = work_.allocate({1}, DType::f64);
    const RandomKey key{.seed = 3};
    for (int64_t i = 0; i < tokens.elements(); ++i) {
      const auto at = static_cast<uint64_t>(i);
      const auto vocab = static_cast<uint32_t>(*config.vocab_size);
      tokens.data<int32_t>()[i] = static_cast<int32_t>(random_word(key, at) % vocab);
      targets.data<int32_t>()[i] = static_cast<int32_t>(random_word(key, at + 100) % vocab);
    }
  }

  Context context(bool defer_weights = false) {
    return {.ops = *ops,
            .stream = *stream,
            .work = work_,
            .dtype = dtype_,
            .seed = 11,
            .step = 1,
            .dropout = model.config().dropout > 0,
            .defer_weights = defer_weights,
            .recompute = recompute,
            .samples = kBatch,
            .tokens = TokenShare::whole(kLength)};
  }

  MicroBatch batch() const { return {tokens, targets, 1.0, loss_sum}; }

  void clear_gradients() {
    for (const auto& p : parameters) (*ops)(op::Fill{.x = p->grad, .value = 0}, *stream);
  }

  // Gradients and value of the sum of token losses, in training mode.
  double forward_backward(bool defer_weights = false, GradientListener* listener = nullptr) {
    clear_gradients();
    *loss_sum.data<double>() = 0;
    Context ctx = context(defer_weights);
    ctx.gradients = listener;
    model.forward(0, batch(), {}, saved, ctx);
    model.backward(0, batch(), grad_, saved, ctx);
    if (defer_weights) model.backward_weights(0, saved, ctx);
    return *loss_sum.data<double>();
  }

  std::unique_ptr<Device> device;
  std::unique_ptr<Stream> stream;
  std::unique_ptr<Ops> ops;
  ParameterSet parameters;
  Gpt model;
  Recompute recompute = Recompute::none;

 private:
  static constexpr size_t kBytes = 4 << 20;
  DType dtype_;
  Arena weights_, gradients_, activations_, deferred_, work_;
  Tensor grad_;

 public:
  Saved saved;
  Tensor tokens, targets, loss_sum;
};

}  // namespace weft
