#include "launch/plan/published.h"

namespace weft::published {

double model_state_bytes(double parameters, int ranks, int zero, const StateWidths& widths) {
  const auto share = [&](int from_stage) { return zero >= from_stage ? 1.0 / ranks : 1.0; };
  return parameters *
         (widths.weight * share(3) + widths.gradient * share(2) + widths.optimizer * share(1));
}

double activation_bytes(const Layer& l, bool sequence_parallel, Recompute recompute) {
  const double sbh = l.sequence * l.micro_batch * l.width;
  const double t = l.tensor_ranks;
  if (recompute == Recompute::full) return 2 * sbh;
  // Of 34 bytes per element of sbh, tensor parallelism cuts 24; sequence parallelism cuts the
  // norms, masks and inputs of the other 10 as well.
  const double linear = sequence_parallel ? 34 / t : 10 + 24 / t;
  const double core = 5 * l.heads * l.sequence / (l.width * t);
  return sbh * (linear + (recompute == Recompute::none ? core : 0));
}

double layers_held(double layers, double stages, double chunks) {
  if (chunks == 1) return layers;
  return layers * (1 + (stages - 1) / (stages * chunks));
}

}  // namespace weft::published
