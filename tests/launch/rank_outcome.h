// RankOutcome: what steps of a rank leave behind, to the last bit, for comparing ways of running
// them.
#pragma once

#include <vector>

#include "tests/launch/engine_rank.h"

namespace weft {

// Three heads, an odd vocabulary, tied head; no dropout.
inline RunConfig small_run(int64_t micro_batch_size) {
  RunConfig run = odd_run();
  run.model.dropout = 0;
  run.train.micro_batch_size = micro_batch_size;
  return run;
}

// What one rank has after the steps, and what it saw on the way.
struct RankOutcome {
  std::vector<double> seen;  // losses, norms and scales
  std::vector<std::vector<char>> state;
  std::vector<int64_t> runs;  // of recordings, in all after each step
};

inline std::vector<char> bytes_of(const Tensor& t, EngineRank& rank) {
  std::vector<char> bytes(t.bytes());
  rank.device().copy_to_host(bytes.data(), t.raw(), bytes.size(), rank.compute());
  rank.compute().synchronize();
  return bytes;
}

// Some steps with an evaluation among them.
inline RankOutcome train(const RunConfig& config, Bootstrap& bootstrap, bool recorded) {
  constexpr int64_t kSteps = 4;
  EngineRank rank(config, bootstrap, nullptr, recorded);
  RankOutcome outcome;
  for (int64_t update = 1; update <= kSteps; ++update) {
    const StepResult result = rank.step(update);
    outcome.seen.insert(outcome.seen.end(),
                        {result.loss, result.grad_norm, result.loss_scale.value_or(0)});
    outcome.runs.push_back(rank.recorded_runs());
    if (update == 2) outcome.seen.push_back(rank.evaluate(5));
  }
  for (const auto& p : rank.engine().parameters()) {
    outcome.state.push_back(bytes_of(rank.engine().parameters().kept_values(*p).elements, rank));
    for (const StateTensor& state : rank.engine().optimizer().states(*p)) {
      outcome.state.push_back(bytes_of(state.own, rank));
    }
  }
  return outcome;
}

}  // namespace weft
