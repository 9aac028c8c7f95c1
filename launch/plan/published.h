// The memory formulas of the papers, in their own terms (16-bit training), for comparing a plan
// with what is published elsewhere. weft's own numbers come from rehearsing its step.
#pragma once

namespace weft::published {

// Bytes per parameter: weights, gradients, and what the optimizer keeps.
struct StateWidths {
  double weight = 2;
  double gradient = 2;
  double optimizer = 12;  // f32 weight and two moments
};

// Model states of one of `ranks` data-parallel ranks under ZeRO stage 0 to 3, bytes
// (arXiv 1910.02054, figure 1 and table 1).
double model_state_bytes(double parameters, int ranks, int zero, const StateWidths& widths = {});

// A transformer layer as arXiv 2205.05198 counts it.
struct Layer {
  double sequence = 0;      // s, tokens
  double micro_batch = 0;   // b, sequences
  double width = 0;         // h
  double heads = 0;         // a
  double tensor_ranks = 1;  // t
};
enum class Recompute { none, selective, full };

// Activations that one layer keeps for backward on one rank, bytes (table 2 there; recomputed in
// full it keeps its input, on every tensor-parallel rank).
double activation_bytes(const Layer& layer, bool sequence_parallel, Recompute recompute);

// How many layers' activations the first stage of a pipeline holds, of a model of `layers` (section
// 4.2.3 there): as many as the model has, and more when `chunks` parts share a stage.
double layers_held(double layers, double stages, double chunks);

}  // namespace weft::published
