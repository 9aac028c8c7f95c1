#include "parallel/pipeline/orders.h"

#include <algorithm>

namespace weft {
namespace {

using Steps = std::vector<Step>;

template <typename MakeStage>
StageOrders for_each_stage(int stages, MakeStage make) {
  StageOrders orders;
  for (int stage = 0; stage < stages; ++stage) orders.push_back(make(stage));
  return orders;
}

// `first` and `second` in alternation once `warmup` of the first are done. first(i) and second(i)
// are the i-th of `units` of each.
template <typename First, typename Second>
Steps alternate(int units, int warmup, First first, Second second) {
  Steps steps;
  warmup = std::min(warmup, units);
  for (int i = 0; i < warmup; ++i) steps.push_back(first(i));
  for (int i = 0; i < units; ++i) {
    if (warmup + i < units) steps.push_back(first(warmup + i));
    steps.push_back(second(i));
  }
  return steps;
}

// An act on chunk `chunk` of micro-batch i.
auto each(Act act, int chunk = 0) {
  return [act, chunk](int i) { return Step{act, i, chunk}; };
}

Steps one_f_one_b_stage(const PipelineShape& shape, int stage) {
  return alternate(shape.microbatches, shape.stages - stage - 1, each(Act::forward),
                   each(Act::backward));
}

// Groups of `stages` micro-batches pass through all chunks before the next group starts; backward
// takes the chunks from the last to the first.
Steps interleaved_stage(const PipelineShape& shape, int stage) {
  const auto unit = [&](Act act, int i) {
    const int group = i / (shape.stages * shape.chunks);
    const int chunk = i / shape.stages % shape.chunks;
    return Step{act, group * shape.stages + i % shape.stages,
                act == Act::forward ? chunk : shape.chunks - 1 - chunk};
  };
  const int warmup = 2 * (shape.stages - stage - 1) + (shape.chunks - 1) * shape.stages;
  return alternate(
      shape.microbatches * shape.chunks, warmup, [&](int i) { return unit(Act::forward, i); },
      [&](int i) { return unit(Act::backward, i); });
}

// The steps of 1F1B with weight gradients in between: one before a forward that would make the
// stage hold more micro-batches than the first stage of 1F1B does, one between two backwards, where
// 1F1B waits for the gradient of the second, and the rest at the end.
Steps zero_bubble_h1_stage(const PipelineShape& shape, int stage) {
  Steps steps;
  int forwards = 0, weights = 0;
  for (const Step& step : one_f_one_b_stage(shape, stage)) {
    const bool full = step.act == Act::forward && forwards - weights == shape.stages;
    const bool gap =
        step.act == Act::backward && !steps.empty() && steps.back().act == Act::backward;
    if (full || gap) steps.push_back({Act::backward_weights, weights++, 0});
    steps.push_back(step);
    forwards += step.act == Act::forward;
  }
  while (weights < shape.microbatches) steps.push_back({Act::backward_weights, weights++, 0});
  return steps;
}

// Groups of `stages` micro-batches go through all chunks before the next.
Steps forward_rounds(const Chain& chain, int microbatches) {
  Steps steps;
  for (int group = 0; group < microbatches; group += chain.stages) {
    const int end = std::min(group + chain.stages, microbatches);
    for (int chunk = 0; chunk < chain.chunks; ++chunk) {
      for (int m = group; m < end; ++m) steps.push_back({Act::forward, m, chunk});
    }
  }
  return steps;
}

}  // namespace

StageOrders gpipe_orders(const PipelineShape& shape) {
  Steps steps;
  for (int m = 0; m < shape.microbatches; ++m) steps.push_back({Act::forward, m, 0});
  for (int m = 0; m < shape.microbatches; ++m) steps.push_back({Act::backward, m, 0});
  return StageOrders(static_cast<size_t>(shape.stages), steps);
}

StageOrders one_f_one_b_orders(const PipelineShape& shape) {
  return for_each_stage(shape.stages, [&](int stage) { return one_f_one_b_stage(shape, stage); });
}

StageOrders interleaved_orders(const PipelineShape& shape) {
  return for_each_stage(shape.stages, [&](int stage) { return interleaved_stage(shape, stage); });
}

StageOrders zero_bubble_h1_orders(const PipelineShape& shape) {
  return for_each_stage(shape.stages,
                        [&](int stage) { return zero_bubble_h1_stage(shape, stage); });
}

// Down a v of two chunks and up again is 1F1B with the second chunk's forward for a backward: the
// last stage alternates, and every other one does when the second chunk comes to it.
StageOrders forward_orders(const Chain& chain, int microbatches) {
  return for_each_stage(chain.stages, [&](int stage) {
    if (chain.shape == ChainShape::ring || chain.chunks != 2) {
      return forward_rounds(chain, microbatches);
    }
    return alternate(microbatches, chain.stages - stage - 1, each(Act::forward, 0),
                     each(Act::forward, 1));
  });
}

}  // namespace weft
