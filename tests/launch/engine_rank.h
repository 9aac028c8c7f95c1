// EngineRank: one rank's engine with all that it borrows, one compute thread, and a text that is
// made up, so that the tests need no data.
//
//   run_local_ranks(2, [&](Bootstrap& bootstrap) {
//     EngineRank rank(char_run(), bootstrap);
//     rank.step(1);
//   });
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/base/philox.h"
#include "core/mesh/mesh.h"
#include "core/ops/ops.h"
#include "launch/step/rank_machine.h"
#include "launch/step/run_state.h"
#include "optim/schedule.h"
#include "parallel/comm/bootstrap.h"
#include "tests/launch/recording_ops.h"

namespace weft {

// Batch, model and optimizer of configs/runs/shakespeare-char.yaml.
inline RunConfig char_run() {
  RunConfig run;
  run.seed = 1337;
  run.model.vocab_size = 65;
  run.model.context_length = 64;
  run.model.layers = 4;
  run.model.heads = 4;
  run.model.width = 128;
  run.model.bias = false;
  run.train.steps = 2000;
  run.train.batch_size = 12;
  run.train.bucket_size_mib = 1;  // so that there are several
  run.optimizer.beta2 = 0.99;
  run.schedule.peak_lr = 1e-3;
  run.schedule.min_lr = 1e-4;
  return run;
}

// The other choices of the architecture.
inline RunConfig char_run_with_everything() {
  RunConfig run = char_run();
  run.model.layers = 4;
  run.model.bias = true;
  run.model.tied_head = false;
  run.model.dropout = 0.1;
  return run;
}

// Three heads and an odd vocabulary: no size divides by the number of ranks. Tied head, dropout.
inline RunConfig odd_run() {
  RunConfig run = char_run_with_everything();
  run.model.vocab_size = 61;
  run.model.heads = 3;
  run.model.width = 36;
  run.model.context_length = 16;
  run.model.tied_head = true;
  return run;
}

// Tokens that a model can learn something about: three of four follow from the one before.
class MadeUpText {
 public:
  explicit MadeUpText(int64_t vocab) : tokens_(kTokens) {
    const RandomKey key{.seed = 5};
    uint32_t token = 0;
    for (size_t i = 0; i < kTokens; ++i) {
      const uint32_t draw = random_word(key, i);
      token = draw % 4 == 0 ? draw / 4 : token * 7 + 3;
      token %= static_cast<uint32_t>(vocab);
      tokens_[i] = static_cast<int32_t>(token);
    }
  }

  void fill(int64_t sample, std::span<int32_t> inputs, std::span<int32_t> targets) const {
    const size_t windows = kTokens - inputs.size();
    const size_t at = static_cast<size_t>(sample) * 61 % windows;
    for (size_t i = 0; i < inputs.size(); ++i) {
      inputs[i] = tokens_[at + i];
      targets[i] = tokens_[at + i + 1];
    }
  }

 private:
  static constexpr size_t kTokens = 20011;

  std::vector<int32_t> tokens_;
};

// Samples of such a text.
inline FillSample made_up_text(int64_t vocab) {
  return [text = MadeUpText(vocab)](int64_t sample, std::span<int32_t> inputs,
                                    std::span<int32_t> targets) {
    text.fill(sample, inputs, targets);
  };
}

class EngineRank {
 public:
  // `observer`, unless null, sees every operation. With `recorded`, passes are recorded and
  // replayed.
  EngineRank(const RunConfig& config, Bootstrap& bootstrap, OpObserver* observer = nullptr,
             bool recorded = false)
      : config_(config),
        fill_(made_up_text(*config.model.vocab_size)),
        machine_(config, 1, bootstrap),
        recording_(recorded ? std::make_unique<RecordingOps>(*machine_.ops) : nullptr),
        mesh_(machine_.groups(), config.mesh.shape(bootstrap.size()), {},
              config.pipeline.chain_shape()),
        engine_(config, resources(), [](const std::vector<SegmentBytes>&) {}) {
    machine_.ops->observe(observer);
  }

  EngineRank(const EngineRank&) = delete;
  EngineRank& operator=(const EngineRank&) = delete;

  StepResult step(int64_t update) {
    const double lr = learning_rate(config_.schedule, update, config_.train.steps);
    return engine_.step(update, lr, (update - 1) * config_.train.batch_size, fill_, false);
  }
  // Weights and optimizer state from a checkpoint; what the run goes on from, where that is not as
  // many updates as the checkpoint has steps.
  void load(const std::string& path, std::optional<UpdateControl::State> state = {}) {
    const CheckpointReader reader = CheckpointReader::open(path);
    load_parameters(reader, engine_.parameters(), &engine_.optimizer(), *machine_.device,
                    *machine_.compute);
    engine_.restore(state.value_or(UpdateControl::State{.made = reader.step()}));
  }
  double evaluate(int64_t samples) { return *engine_.evaluate(samples, fill_); }
  // Of the first batch; leaves the engine as it was, the gradients apart.
  double gradients() { return engine_.gradients(0, fill_); }

  int64_t recorded_runs() const { return recording_ ? recording_->runs() : 0; }
  RecordingOps& recording() { return *recording_; }
  Engine& engine() { return engine_; }
  Device& device() { return *machine_.device; }
  Stream& compute() { return *machine_.compute; }

 private:
  RankResources resources() {
    if (!recording_) return machine_.resources(mesh_, *machine_.ops);
    RankResources all = machine_.resources(mesh_, *recording_);
    all.recorder = recording_.get();
    return all;
  }

  RunConfig config_;
  FillSample fill_;
  RankMachine machine_;
  std::unique_ptr<RecordingOps> recording_;
  Mesh mesh_;
  Engine engine_;
};

}  // namespace weft
