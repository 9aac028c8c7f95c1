// Block: one pre-norm transformer block: halves of a norm and a branch, each x + branch(norm(x)).
//
// Between halves the residual stream travels as two tensors, x and the delta not yet added to it:
// the next norm adds them in the pass that reads them anyway. All branches write their delta into
// the same buffer, since each is consumed before the next is made.
#pragma once

#include <variant>
#include <vector>

#include "core/model/gpt_config.h"
#include "core/nn/attention.h"
#include "core/nn/mlp.h"
#include "core/nn/norm.h"
#include "core/nn/saved.h"

namespace weft {

struct Residual {
  Tensor x;              // [S,C]
  Tensor delta;          // [S,C], the buffer of the deltas
  bool pending = false;  // whether delta holds one that x lacks

  Tensor pending_delta() const { return pending ? delta : Tensor(); }
};

class Block {
 public:
  // Block `index` of the model, with its parameters of `set`.
  Block(const GptConfig& config, int64_t index, const ParameterSet& set);

  // The result's x lives in `saved`, its delta is the one given. Keeps what ctx.recompute says;
  // under `full` in.x must stay as it is until backward, and there is no delta to add to it.
  Residual forward(const Residual& in, Saved& saved, Context& ctx);
  // dres [S,C]: gradient of the block's output on entry, of its input on return.
  void backward(const Tensor& dres, Saved& saved, Context& ctx);
  // The weight gradients that backward deferred.
  void backward_weights(Saved& saved, Context& ctx);
  // Generation: as forward, at positions [past, past + n).
  Residual decode(const Residual& in, int64_t past, const KvCache& cache, Saved& saved,
                  Context& ctx);

 private:
  struct Half {
    Norm norm;
    std::variant<Attention, Mlp> branch;
  };

  // The forward pass; with last_product false all but the last branch's last matrix product and
  // what follows it, which backward does not read.
  Residual run(const Residual& in, bool last_product, Saved& saved, Context& ctx);
  Residual forward_keeping_input(const Residual& in, Saved& saved, Context& ctx);
  void run_backward(const Tensor& dres, Saved& saved, Context& ctx);

  std::vector<Half> halves_;
};

}  // namespace weft
