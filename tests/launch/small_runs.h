// Two shrunken models that between them have the choices on which layouts depend.
#pragma once

#include "launch/verify/verify.h"

namespace weft {

// Tied head, biases, learned positions, dropout, and a vocabulary (61) that nothing divides.
inline RunConfig odd_tied() {
  RunConfig run;
  run.model.heads = 4;
  run.model.width = 64;
  run.model.layers = 4;
  run.model.dropout = 0.1;
  return shrink(run);
}

inline RunConfig untied_without_bias() {
  RunConfig run = odd_tied();
  run.model.tied_head = false;
  run.model.bias = false;
  run.model.dropout = 0;
  run.model.position = GptConfig::Position::sinusoidal;
  run.model.vocab_size = 30;
  return run;
}

inline RunConfig odd_tied_muon() {
  RunConfig run = odd_tied();
  run.optimizer.kind = OptimizerKind::muon;
  return run;
}

inline RunConfig untied_sgd() {
  RunConfig run = untied_without_bias();
  run.optimizer = {.kind = OptimizerKind::sgd};
  return run;
}

// One in three of `legal_layouts`: each mesh, schedule, ZeRO stage and micro-batch size with one
// recompute policy, which is another one for the next.
inline std::vector<Layout> with_one_policy_each(const std::vector<Layout>& all) {
  std::vector<Layout> layouts;
  for (size_t i = 0; i < all.size(); i += 3) layouts.push_back(all[i + i / 3 % 3]);
  return layouts;
}

}  // namespace weft
