// Gpt: the architecture (Radford et al., 2019), nothing about data, ranks or optimizers.
#pragma once

#include <deque>
#include <span>
#include <vector>

#include "core/model/block.h"
#include "core/model/gpt_parameters.h"
#include "core/nn/embedding.h"
#include "core/nn/loss_head.h"

namespace weft {

class Gpt {
 public:
  // Registers its parameters in `set`, which must outlive it.
  Gpt(const GptConfig& config, const PlacementRule& rule, ParameterSet& set);

  // Lays out tables that are not parameters (sinusoidal positions, "Attention Is All You
  // Need" 3.5). Call once, after the set was allocated; `arena` must outlive the model.
  void allocate_constants(Arena& arena, DType dtype, Device& device, Stream& stream);

  // Training, one micro-batch: forward pushes on `saved` what backward pops. tokens and targets
  // [B,T] i32, the same in both calls. backward adds to every gradient the gradient of grad_scale *
  // (sum of token losses), and that sum itself to loss_sum (f64 [1]); it tells `listener` (may be
  // null) each parameter whose gradient is complete with this micro-batch.
  void forward(const Tensor& tokens, Saved& saved, Context& ctx);
  void backward(const Tensor& tokens, const Tensor& targets, double grad_scale,
                const Tensor& loss_sum, Saved& saved, Context& ctx, GradientListener* listener);

  // The weight gradients that backward left out when ctx.defer_weights; backward then keeps the
  // micro-batch's memory until this call, and tells no listener.
  void backward_weights(Saved& saved, Context& ctx);

  // Evaluation: adds the sum of token losses to loss_sum; leaves `saved` empty.
  void loss(const Tensor& tokens, const Tensor& targets, const Tensor& loss_sum, Saved& saved,
            Context& ctx);

  // Generation, one sequence: tokens [1,n] i32 at positions [past, past + n), caches one per layer;
  // logits [1,V] (=) of the last position. Leaves `saved` empty.
  void decode(const Tensor& tokens, int64_t past, std::span<const KvCache> caches,
              const Tensor& logits, Saved& saved, Context& ctx);
  // The same without a cache: all n positions are computed.
  void last_logits(const Tensor& tokens, const Tensor& logits, Saved& saved, Context& ctx);

  const GptConfig& config() const { return config_; }
  // Floating-point operations of forward and backward per token at sequence length T, PaLM's
  // convention (arXiv 2204.02311, appendix B): 6 N + 12 L C T, N without the position table.
  double flops_per_token(int64_t sequence_length) const;

 private:
  Residual embed(const Tensor& tokens, int64_t first_position, Saved& saved, Context& ctx);
  Tensor run(const Tensor& tokens, Saved& saved, Context& ctx);  // the final norm's output
  void last_row_logits(const Tensor& hidden, const Tensor& logits, Context& ctx);

  GptConfig config_;
  GptParameters parameters_;
  Embedding embedding_;
  std::deque<Block> blocks_;
  Norm final_norm_;
  LossHead head_;
  Tensor fixed_positions_;
};

}  // namespace weft
