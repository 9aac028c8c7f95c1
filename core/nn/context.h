// Context: what a layer needs besides its input; Saved: what its backward needs from its forward.
//
// Shape legend of the layers: B samples of T tokens, R = B * T rows, C width, H heads, D head_dim,
// F mlp width, V vocabulary. With tensor parallelism over N ranks, S = R / N are the rows of this
// rank where rows are shared out (the residual stream: sequence parallelism, arXiv 2205.05198), and
// H, F and V count what this rank holds. Rows are shared out as flat runs of (sample, token) in
// order, so that gathering them needs no reordering.
#pragma once

#include <cstdint>
#include <vector>

#include "core/mesh/communicator.h"
#include "core/mesh/parameter.h"
#include "core/mesh/unit_listener.h"
#include "core/nn/recompute.h"
#include "core/nn/side_stream.h"
#include "core/ops/ops.h"
#include "core/tensor/arena.h"

namespace weft {

// The ranks of an axis as a layer talks to them.
struct AxisGroup {
  Communicator* group = nullptr;  // null where there is nobody to talk to
  // Where its collectives may run under what is computed; null: all are on the compute stream.
  SideStream* side = nullptr;

  int size() const { return group == nullptr ? 1 : group->size(); }
  int rank() const { return group == nullptr ? 0 : group->rank(); }
};

struct Context {
  Ops& ops;
  Stream& stream;
  Arena& work;  // temporaries; every layer leaves it as it found it, but for what it returns
  DType dtype = DType::f32;  // of activations and of the weights that are computed with

  uint64_t seed = 0;
  uint32_t step = 0;
  bool dropout = false;  // whether dropout applies (training)
  // Leaves weight gradients to a later backward_weights() instead of computing them in backward().
  bool defer_weights = false;
  Recompute recompute = Recompute::none;
  // f32 [1] on the device: what the loss's gradient is multiplied with; absent is 1.
  Tensor loss_scale;

  // Which samples and which of their tokens the rows are: positions, the causal mask and randomness
  // follow these.
  int64_t samples = 0;       // B
  int64_t first_sample = 0;  // global number
  TokenShare tokens;         // T = tokens.count
  // Whom this rank shares the model with, by axis: tp shares weights and rows, cp sequences, in the
  // order of TokenShare::zigzag.
  PerAxis<AxisGroup> axes;
  // Told before each unit of the model; null when weights and gradients are always in place.
  UnitListener* units = nullptr;

  // Told by each layer when a gradient of its parameters has this micro-batch's share; null when
  // nobody waits for gradients.
  GradientListener* gradients = nullptr;

  void ready(Parameter& parameter) const {
    if (gradients != nullptr) gradients->gradient_ready(parameter, stream);
  }
  void ready(Parameter* parameter) const {
    if (parameter != nullptr) ready(*parameter);
  }

  void before_unit(int64_t unit, Pass pass) const {
    if (units != nullptr) units->before_unit(unit, pass, stream);
  }

  const AxisGroup& tensor() const { return axes[Axis::tp]; }
  bool first_tensor_rank() const { return tensor().rank() == 0; }
  int64_t all_rows() const { return samples * tokens.count; }  // R
  int64_t shared_rows() const {                                // S
    return all_rows() / tensor().size();
  }

  // This rank's rows of the residual stream among those of the whole batch.
  RowMap rows() const {
    const int64_t before = tensor().rank() * shared_rows();
    return {first_sample, before, tokens};
  }

  RandomKey random(uint32_t op_stream) const { return {seed, op_stream, step}; }
};

// The stack of one micro-batch: backward pops exactly what forward pushed. Memory comes from one
// arena and goes back when a frame ends. Deferred tensors (the operands of postponed weight
// gradients) form a queue beside it, in an arena of their own.
class Saved {
 public:
  Saved(Arena& arena, Arena& deferred_arena)
      : arena_(arena), deferred_arena_(deferred_arena), allocating_(&arena) {
    stack_.reserve(kReserve);
    deferred_.reserve(kReserve);
    frames_.reserve(kReserve);
  }

  Saved(const Saved&) = delete;
  Saved& operator=(const Saved&) = delete;

  // While one lives, tensors come from `arena` and do not outlast it, and at its end all that was
  // pushed since its beginning is forgotten: for a forward that backward will repeat.
  class Elsewhere {
   public:
    Elsewhere(Saved& saved, Arena& arena)
        : saved_(saved), allocating_(saved.allocating_), depth_(saved.stack_.size()) {
      saved_.allocating_ = &arena;
    }
    ~Elsewhere() {
      saved_.allocating_ = allocating_;
      if (saved_.stack_.size() > depth_) saved_.stack_.resize(depth_);
    }
    Elsewhere(const Elsewhere&) = delete;
    Elsewhere& operator=(const Elsewhere&) = delete;

   private:
    Saved& saved_;
    Arena* allocating_;
    size_t depth_;
  };
  bool elsewhere() const { return allocating_ != &arena_; }

  Tensor allocate(const Shape& shape, DType dtype) { return allocating_->allocate(shape, dtype); }
  void push(const Tensor& tensor) { stack_.push_back(tensor); }
  Tensor pop() {
    WEFT_CHECK(!stack_.empty(), "backward popped more than forward pushed");
    const Tensor t = stack_.back();
    stack_.pop_back();
    return t;
  }

  // A frame holds what was allocated since begin_frame; frames nest.
  void begin_frame() { frames_.push_back(arena_.mark()); }
  void end_frame() {
    WEFT_CHECK(!frames_.empty(), "a frame ended that never began");
    arena_.release(frames_.back());
    frames_.pop_back();
  }
  // Forgets everything: after a forward without backward.
  void clear() {
    stack_.clear();
    while (!frames_.empty()) end_frame();
    clear_deferred();
  }

  Tensor allocate_deferred(const Shape& shape, DType dtype) {
    return deferred_arena_.allocate(shape, dtype);
  }
  void defer(const Tensor& tensor) { deferred_.push_back(tensor); }
  Tensor next_deferred() {
    WEFT_CHECK(next_deferred_ < deferred_.size(), "more weight gradients asked for than deferred");
    return deferred_[next_deferred_++];
  }
  void clear_deferred() {
    deferred_.clear();
    next_deferred_ = 0;
    deferred_arena_.release(0);
  }

  // What a pass left: for a pass whose work is done again without its calls being made.
  class State {
    friend class Saved;
    std::vector<Tensor> stack, deferred;
    std::vector<size_t> frames;
    size_t next_deferred = 0, used = 0, deferred_used = 0;
  };
  State state() const {
    State s;
    s.stack = stack_;
    s.deferred = deferred_;
    s.frames = frames_;
    s.next_deferred = next_deferred_;
    s.used = arena_.used();
    s.deferred_used = deferred_arena_.used();
    return s;
  }
  void restore(const State& s) {
    stack_ = s.stack;
    deferred_ = s.deferred;
    frames_ = s.frames;
    next_deferred_ = s.next_deferred;
    arena_.restore(s.used);
    deferred_arena_.restore(s.deferred_used);
  }

  bool empty() const { return stack_.empty() && frames_.empty(); }
  size_t bytes_held() const { return arena_.used(); }

 private:
  static constexpr size_t kReserve = 4096;  // tensors; grown once if a model is deeper

  Arena& arena_;
  Arena& deferred_arena_;
  Arena* allocating_;  // arena_, or where an Elsewhere says
  std::vector<Tensor> stack_;
  std::vector<size_t> frames_;
  std::vector<Tensor> deferred_;
  size_t next_deferred_ = 0;
};

// The operand x of a weight gradient: x itself, or where that gradient is deferred and x lies in
// memory that goes before it is computed (`temporary`, or all of Saved is elsewhere), a copy.
inline Tensor lasting(const Tensor& x, bool temporary, Saved& saved, Context& ctx) {
  if (!ctx.defer_weights || !(temporary || saved.elsewhere())) return x;
  const Tensor copy = saved.allocate_deferred(x.shape(), x.dtype());
  ctx.ops(op::Copy{.from = x, .to = copy}, ctx.stream);
  return copy;
}

}  // namespace weft
