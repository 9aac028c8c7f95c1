// Ops: the training-shaped operations a backend must have. Pure virtual throughout: a backend that
// misses one does not compile.
//
// Conventions, for every op:
// - Work is enqueued on `stream`; tensors must stay alive and unaliased until it has run, except
//   where the op says that two arguments may be the same.
// - A tensor of rank > 2 given where rows are expected counts as [rows(), back()].
// - "+=" outputs are added to, "=" outputs are overwritten. Parameter gradients are always +=.
// - T below is the type of activations, their gradients and the weights that are computed with:
//   f32, bf16, f16, or f64 for gradient checks. A is accumulator(T): f32, or f64 with f64. A tensor
//   is of T unless it says otherwise. Of A are the gradients of weights, the means and reciprocal
//   deviations of norms, the lse of attention and the statistics of rows of logits, and all
//   arithmetic inside an op: products and sums of T are formed in A, and an element of T is rounded
//   once, to nearest even, when it is stored. Token ids and targets are i32.
// - Reductions have a fixed order that does not depend on the thread count.
// - Shapes are checked by the rules in check.h, the same for all backends; a violation is our own
//   bug (WEFT_CHECK). Optional tensors are "absent" when default constructed.
// - No op allocates in steady state: working memory beside the tensors is what reserve() made, and
//   grows on first use only where that was too little.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/base/philox.h"
#include "core/device/device.h"
#include "core/ops/adamw.h"
#include "core/ops/cross_entropy.h"
#include "core/ops/element_map.h"
#include "core/ops/embedding.h"
#include "core/ops/gradient_norm.h"
#include "core/ops/matmul.h"
#include "core/ops/norm.h"
#include "core/ops/token_share.h"
#include "core/ops/working_memory.h"
#include "core/tensor/tensor.h"

namespace weft {

// Inverted dropout: an element is kept with probability 1 - p and then divided by 1 - p. The mask
// is a pure function of (key, global row * global columns + global column), regenerated in
// backward.
struct DropoutArgs {
  double p = 0;
  RandomKey key;
  RowMap rows;
  int64_t first_column = 0;
  int64_t global_columns = 0;
};

// Causal multi-head attention. qkv [B,Tq,(heads + 2 kv_heads) * head_dim] holds the packed
// projections of the local tokens: q heads, then k heads, then v heads. kv [B,Tk,>= 2 kv_heads *
// head_dim] holds keys and values in its last columns, k heads, then v heads: it may be qkv itself,
// or a block of keys and values of other tokens. Query i sees the keys whose global token is not
// behind its own. out is [B,Tq,heads * head_dim]. lse [B,heads,Tq], of A, is the log of the softmax
// denominator (with the maximum added back). No Tq x Tk tensor is ever in memory (arXiv
// 2205.14135), and pairs of blocks that the mask hides cost nothing. With dropout, probability
// (b, h, i, j) of global tokens i and j is element
// ((global sample * global heads + first_head + h) * T + i) * T + j of its key, where global sample
// = first_sample + b and T the length of a whole sequence.
struct AttentionArgs {
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t first_head = 0;    // global number of head 0, where heads are cut over ranks
  int64_t global_heads = 0;  // of all ranks; 0 means `heads`
  double scale = 0;          // multiplies q k^T
  double dropout = 0;
  RandomKey dropout_key;
  int64_t first_sample = 0;
  TokenShare queries;
  TokenShare keys;
  // Whether other blocks of keys came before: forward then adds this block's part to the softmax in
  // out and lse, and backward adds to the gradient of the queries. Without it, each query must see
  // at least one key.
  bool merge = false;
};

// One pure virtual run() for each: a backend that misses one does not compile.
template <typename List>
class Runs;
template <>
class Runs<Types<>> {
 public:
  virtual ~Runs() = default;

 protected:
  void run();
};
template <typename First, typename... Rest>
class Runs<Types<First, Rest...>> : public Runs<Types<Rest...>> {
 protected:
  using Runs<Types<Rest...>>::run;
  // Enqueues what `op`, which has been checked, says.
  virtual void run(const First& op, Stream& stream) = 0;
};

using AllOps = Joined<MatmulOps, NormOps, EmbeddingOps, LossOps, AdamWOps, GradientNormOps>;

class Ops : public Runs<AllOps> {
 public:
  // ops(op::Add{.a = x, .b = delta, .y = x}, stream): checks the call and enqueues it.
  template <In<AllOps> Op>
  void operator()(const Op& op, Stream& stream) {
    op.check();
    run(op, stream);
  }

  // What calls need beside their tensors; it borrows from these ops.
  virtual WorkingMemory& working_memory() = 0;
  // Allocates so much of it that calls which need no more never allocate.
  virtual void reserve(size_t bytes) = 0;
  // What is allocated; of counting ops, what the calls so far would have needed.
  virtual size_t reserved() const = 0;

  // out and lse = (merged when args.merge); lse may be absent when nobody needs it.
  virtual void attention_forward(const AttentionArgs& args, const Tensor& qkv, const Tensor& kv,
                                 const Tensor& out, const Tensor& lse, Stream& stream) = 0;
  // The part of one block of keys, from out and lse of all blocks. dqkv like qkv: the columns of
  // the queries = (+= when args.merge). dkv [B,Tk,>= 2 kv_heads * head_dim]: its last columns = the
  // gradient of the block's keys and values; may be dqkv itself. Other columns stay as they are.
  virtual void attention_backward(const AttentionArgs& args, const Tensor& dout, const Tensor& qkv,
                                  const Tensor& kv, const Tensor& out, const Tensor& lse,
                                  const Tensor& dqkv, const Tensor& dkv, Stream& stream) = 0;
  // Generation: qkv [B,n,...] are positions [past, past + n); their k and v are stored into the
  // caches [B,capacity,kv_heads * head_dim] and q attends to positions [0, own position]. The token
  // shares of args have no meaning here.
  virtual void attention_decode(const AttentionArgs& args, const Tensor& qkv, int64_t past,
                                const Tensor& k_cache, const Tensor& v_cache, const Tensor& out,
                                Stream& stream) = 0;

  // y = dropout(x), forward and backward alike; x may be y.
  virtual void dropout(const DropoutArgs& args, const Tensor& x, const Tensor& y,
                       Stream& stream) = 0;
  virtual void add(const Tensor& a, const Tensor& b, const Tensor& y,
                   Stream& stream) = 0;                                    // y may be a or b
  virtual void scale(const Tensor& x, double factor, Stream& stream) = 0;  // in place
  virtual void fill(const Tensor& x, double value, Stream& stream) = 0;
  virtual void copy(const Tensor& from, const Tensor& to,
                    Stream& stream) = 0;  // same elements, any dtypes
  // The last columns of rows [R,N] to or from [R,n], n <= N: to[r, -i] = from[r, -i] for the
  // columns counted from the end that both have.
  virtual void copy_last_columns(const Tensor& from, const Tensor& to, Stream& stream) = 0;

  // to (bf16) = from (f32), each element rounded with the word of its number in the whole tensor.
  virtual void copy_stochastic(const Tensor& from, const Tensor& to, const RandomKey& key,
                               const ElementMap& elements, Stream& stream) = 0;
};

// Checks shapes, counts working memory by `needs`, which it borrows, and does nothing else: for
// planning over counting arenas.
std::unique_ptr<Ops> make_counting_ops(WorkingMemory& needs);

}  // namespace weft
