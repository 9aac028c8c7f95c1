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
// - What a call must be is its own check(), the same for all backends; a violation is our own bug
//   (WEFT_CHECK). Optional tensors are "absent" when default constructed.
// - No op allocates in steady state: working memory beside the tensors is what reserve() made, and
//   grows on first use only where that was too little.
#pragma once

#include <memory>

#include "core/ops/adamw.h"
#include "core/ops/attention.h"
#include "core/ops/copy.h"
#include "core/ops/cross_entropy.h"
#include "core/ops/descent.h"
#include "core/ops/dropout.h"
#include "core/ops/elementwise.h"
#include "core/ops/embedding.h"
#include "core/ops/gradient_norm.h"
#include "core/ops/matmul.h"
#include "core/ops/norm.h"
#include "core/ops/op.h"
#include "core/ops/orthogonal.h"
#include "core/ops/working_memory.h"

namespace weft {

// One pure virtual run() for each operation of a list: a backend that misses one does not compile.
template <typename List>
class Runs;
template <>
class Runs<Types<>> {
 public:
  virtual ~Runs() = default;

 protected:
  void run();  // never called: the name that the others add to
};
template <typename First, typename... Rest>
class Runs<Types<First, Rest...>> : public Runs<Types<Rest...>> {
 protected:
  using Runs<Types<Rest...>>::run;
  // Enqueues what `op`, which has been checked, says.
  virtual void run(const First& op, Stream& stream) = 0;
};

using AllOps =
    Joined<MatmulOps, AttentionOps, NormOps, EmbeddingOps, LossOps, DropoutOps, ElementwiseOps,
           CopyOps, AdamWOps, DescentOps, OrthogonalOps, GradientNormOps>;

class Ops : public Runs<AllOps> {
 public:
  // ops(op::Add{.a = x, .b = delta, .y = x}, stream): checks the call, shows it to the observer and
  // enqueues it.
  template <In<AllOps> Op>
  void operator()(const Op& op, Stream& stream) {
    op.check();
    if (observer_ == nullptr) {
      run(op, stream);
      return;
    }
    const OpCall call{Op::kName.text, Op::kName.family, op.sizes(), op.cost()};
    observer_->before(call, stream);
    run(op, stream);
    observer_->after(call, stream);
  }

  // From now on `observer` sees every call, before and after it is enqueued; null: nobody does.
  void observe(OpObserver* observer) { observer_ = observer; }

  // What calls need beside their tensors; it borrows from these ops.
  virtual WorkingMemory& working_memory() = 0;
  // Allocates so much of it that calls which need no more never allocate.
  virtual void reserve(size_t bytes) = 0;
  // What is allocated; of counting ops, what the calls so far would have needed.
  virtual size_t reserved() const = 0;

 private:
  OpObserver* observer_ = nullptr;
};

// Checks shapes, counts working memory by `needs`, which it borrows, and does nothing else: for
// planning over counting arenas.
std::unique_ptr<Ops> make_counting_ops(WorkingMemory& needs);

}  // namespace weft
