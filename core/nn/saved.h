// Saved: what the backward pass of a micro-batch needs from its forward pass.
#pragma once

#include <vector>

#include "core/base/error.h"
#include "core/tensor/arena.h"
#include "core/tensor/tensor.h"

namespace weft {

struct Context;

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
  State state() const;
  void restore(const State& s);

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
Tensor lasting(const Tensor& x, bool temporary, Saved& saved, Context& ctx);

}  // namespace weft
