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

}  // namespace weft
