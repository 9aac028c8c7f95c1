// Arena: stack-like memory of fixed size, planned before step 0.
//
// The sizes of a step never change, so the step is first run once over counting arenas and a
// counting Ops: no memory, no arithmetic, but every allocation at its place. The peaks it leaves
// are the capacities of the real arenas, and what a planner prints: planner and allocator are one.
#pragma once

#include <memory>
#include <string>

#include "core/base/error.h"
#include "core/device/device.h"
#include "core/tensor/tensor.h"

namespace weft {

class Arena {
 public:
  static constexpr size_t kAlignment = 64;  // bytes; a cache line and a 512-bit vector

  // Bytes that a tensor of these takes in an arena.
  static size_t taken(int64_t elements, DType dtype) {
    const size_t bytes = static_cast<size_t>(elements) * size_of(dtype);
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

  // A counting arena: hands out tensors without memory and records the peak.
  explicit Arena(std::string name);
  // An arena of `capacity` bytes on `device`, zero-filled.
  Arena(std::string name, Device& device, size_t capacity);
  // An arena in `memory`, of whatever kind and contents.
  Arena(std::string name, std::unique_ptr<Buffer> memory);

  // A tensor that lives until a release() to a mark taken before it. Contents are undefined (zero
  // on first use). A WEFT_CHECK fails when the capacity is exceeded: the plan was wrong.
  Tensor allocate(const Shape& shape, DType dtype);

  size_t mark() const { return used_; }
  void release(size_t mark);
  // Has in use what was at `mark`, now more or less: for tensors allocated once already, whose
  // contents are made again where they lie.
  void restore(size_t mark);

  bool counting() const { return counting_; }
  const std::string& name() const { return name_; }
  size_t used() const { return used_; }
  size_t peak() const { return peak_; }
  size_t capacity() const { return capacity_; }

 private:
  std::string name_;
  bool counting_;
  std::unique_ptr<Buffer> buffer_;
  size_t capacity_ = 0;
  size_t used_ = 0;
  size_t peak_ = 0;
};

// Releases what was allocated from `arena` during its own life.
class ArenaScope {
 public:
  explicit ArenaScope(Arena& arena) : arena_(arena), mark_(arena.mark()) {}
  ~ArenaScope() { arena_.release(mark_); }
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

 private:
  Arena& arena_;
  size_t mark_;
};

}  // namespace weft
