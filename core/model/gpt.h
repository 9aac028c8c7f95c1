// Gpt: the architecture (Radford et al., 2019), nothing about data, ranks or optimizers: the parts
// of it that one pipeline stage runs, which is all of it without a pipeline.
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "core/model/block.h"
#include "core/model/gpt_partition.h"
#include "core/nn/embedding.h"
#include "core/nn/loss_head.h"
#include "core/nn/saved.h"

namespace weft {

// What a micro-batch is made of, and where its loss goes.
struct MicroBatch {
  Tensor tokens, targets;  // [B,T] i32; only the embedding reads tokens, only the head targets
  double grad_scale = 1;   // gradients are those of grad_scale * (sum of token losses)
  Tensor loss_sum;         // f64 [1], += the sum of token losses
};

class Gpt {
 public:
  // Registers the parameters of the whole model in `set`, which must outlive it, and builds the
  // chunks of the stage that the set is for.
  Gpt(const GptConfig& config, const GptPartition& partition, ParameterSet& set);

  // Lays out tables that are not parameters (sinusoidal positions, "Attention Is All You
  // Need" 3.5). Call once, after the set was allocated; `arena` must outlive the model.
  void allocate_constants(Arena& arena, DType dtype, Device& device, Stream& stream);

  int chunks() const { return static_cast<int>(chunks_.size()); }
  const GptPart& part(int chunk) const { return chunks_[static_cast<size_t>(chunk)].part; }

  // Training, one micro-batch through one chunk: forward pushes on `saved` what backward pops.
  // `in` [S,C] is the output of the chunk before (absent where this one embeds) and must stay as it
  // is until the micro-batch is done here. Returns the input of the next chunk [S,C], in `saved`'s
  // memory (absent where this one has the head: the loss is computed in backward).
  Tensor forward(int chunk, const MicroBatch& batch, const Tensor& in, Saved& saved, Context& ctx);
  // grad [S,C] holds the gradient of forward's output on entry (anything where the chunk has the
  // head) and of its input on return (nothing of meaning where it embeds). Adds to every gradient,
  // and notifies ctx of each.
  void backward(int chunk, const MicroBatch& batch, const Tensor& grad, Saved& saved, Context& ctx);
  // The weight gradients that backward left out when ctx.defer_weights; until this call the
  // micro-batch's memory is kept, and ctx is not notified of those weights.
  void backward_weights(int chunk, Saved& saved, Context& ctx);

  // Evaluation: as forward, and where the chunk has the head adds to the loss sum. What was saved
  // is forgotten, but the returned tensor lies where it lay until `saved` is used again.
  Tensor evaluate(int chunk, const MicroBatch& batch, const Tensor& in, Saved& saved, Context& ctx);

  // Generation, one sequence on a rank that holds the whole model: tokens [1,n] i32 at positions
  // [past, past + n), caches one per layer; logits [1,V] (=) of the last position. Leaves `saved`
  // empty.
  void decode(const Tensor& tokens, int64_t past, std::span<const KvCache> caches,
              const Tensor& logits, Saved& saved, Context& ctx);
  // The same without a cache: all n positions are computed.
  void last_logits(const Tensor& tokens, const Tensor& logits, Saved& saved, Context& ctx);

  const GptConfig& config() const { return config_; }

 private:
  struct Chunk {
    GptPart part;
    size_t first;  // of its blocks in blocks_
    size_t blocks() const { return static_cast<size_t>(part.end_block - part.first_block); }
  };

  // Units: the embedding is 0, then the blocks, then final norm and head.
  int64_t unit_of(const Chunk& chunk, size_t block) const {
    return chunk.part.first_block + static_cast<int64_t>(block) + 1;
  }
  int64_t head_unit() const { return config_.layers + 1; }
  Residual embed(const Tensor& tokens, int64_t first_position, Saved& saved, Context& ctx);
  // The chunk's output: of the final norm where it has the head.
  Tensor run(const Chunk& chunk, const Tensor& tokens, const Tensor& in, Saved& saved,
             Context& ctx);
  void last_row_logits(const Tensor& hidden, const Tensor& logits, Context& ctx);

  GptConfig config_;
  std::vector<Chunk> chunks_;
  std::optional<Embedding> embedding_;
  std::deque<Block> blocks_;
  std::optional<Norm> final_norm_;
  std::optional<LossHead> head_;
  Tensor fixed_positions_;
};

}  // namespace weft
