#include "optim/optimizer_config.h"

namespace weft {

void OptimizerConfig::fields(FieldList& list) {
  list.key("kind", kind,
           "The rule that makes updates of gradients: adamw; sgd, with momentum; muon, momentum "
           "made orthogonal, "
           "for matrices, and adamw for tables, head, norms and biases.");
  list.key("beta1", beta1, at_least_below(0.0, 1.0), "",
           "Decay per step of the running mean of the gradient.");
  list.key("beta2", beta2, at_least_below(0.0, 1.0), "",
           "Decay per step of the running mean of the squared gradient.");
  list.key("eps", eps, above(0.0), "",
           "Added to the square root of the squared-gradient mean in the update.");
  list.key("weight_decay", weight_decay, at_least(0.0), "",
           "Decoupled decay of weight matrices and embeddings, times the learning rate; biases and "
           "norms do not decay.");
  list.key("momentum", momentum, at_least_below(0.0, 1.0), "",
           "Of sgd and muon: decay per step of the running sum (muon: mean) of the gradient.");
  list.key("nesterov", nesterov,
           "Of sgd and muon: whether an update looks ahead, by the gradient and the decayed "
           "momentum, and not "
           "by the momentum itself.");
  list.key("update_scale", update_scale,
           "Of muon: what an update is multiplied with beside the learning rate. match_rms: 0.2 "
           "sqrt(max(rows, columns)), as large as adamw's (arXiv 2502.16982); original: "
           "sqrt(max(1, rows / columns)).");
  list.key("adamw_lr_factor", adamw_lr_factor, above(0.0), "",
           "Of muon: learning rate of what it leaves to adamw, as a multiple of the schedule's.");
  list.key("state_dtype", state_dtype,
           "Type that running means and sums are kept in; bf16 halves what they take.");
  list.key("stochastic_rounding", stochastic_rounding,
           "Whether what an update stores in bf16, weights to compute with and running means, is "
           "rounded up or down at random so that its mean is kept; the same in every layout.");
  list.key("freeze", freeze, TextRule::path,
           "Tensors that are neither updated nor decayed, by patterns of names such as "
           "h.*.attn.[qkv].* as shells have them.");
}

void LossScaleConfig::fields(FieldList& list) {
  list.key("dynamic", dynamic,
           "Whether the scale follows the gradients: down, with the update skipped, when one is "
           "not finite, up after growth_interval updates without that. Otherwise it stays "
           "`initial`.");
  list.key("initial", initial, between(1.0, 0x1p24), "", "Scale at the first step.");
  list.key("growth_interval", growth_interval, between(1, 1'000'000'000), "updates",
           "Updates after which the scale grows.");
  list.key("growth", growth, between(1.0, 0x1p16), "", "Factor by which it grows, up to 2^24.");
  list.key("backoff", backoff, between(0x1p-16, 1.0), "",
           "Factor by which it shrinks when gradients are not finite.");
  list.key("min", min, between(0x1p-24, 0x1p24), "",
           "Smallest scale; a run whose gradients are not finite at that one is stopped.");
}

void ScheduleConfig::fields(FieldList& list) {
  list.key("kind", kind,
           "Shape after warm-up: cosine or linear from peak_lr to min_lr, constant at peak_lr, "
           "or wsd (warm-up, stable, then linear decay).");
  list.key("peak_lr", peak_lr, above(0.0), "", "Learning rate at the end of warm-up.");
  list.key("min_lr", min_lr, at_least(0.0), "",
           "Learning rate at the end of the decay and after it; unused by constant.");
  list.key("warmup_steps", warmup_steps, between(0, 1'000'000'000), "steps",
           "Steps over which the learning rate rises linearly to peak_lr.");
  list.key_auto("decay_steps", decay_steps, between(1, 1'000'000'000), "steps", "train.steps",
                "Step, counted from the start and warm-up included, at which min_lr is reached.");
  list.key("wsd_decay_fraction", wsd_decay_fraction, between(0.0, 1.0), "",
           "Share of decay_steps, at their end, over which wsd decays to min_lr.");
}

}  // namespace weft
