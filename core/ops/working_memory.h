// WorkingMemory: the bytes that the operations of a backend want beside their tensors, by call.
// Only types and shapes are read: tensors may be without memory. One block serves all calls, so
// that what a step needs is the largest of its calls; a planner finds it by going through the step.
#pragma once

#include <cstddef>
#include <memory>

#include "core/device/device.h"
#include "core/tensor/tensor.h"

namespace weft {

namespace op {
struct Matmul;
struct NormBackward;
struct AttentionForward;
struct AttentionBackward;
struct AttentionDecode;
}  // namespace op

// An operation that is not here needs nothing. Gradient checks in f64 need more than these say.
class WorkingMemory {
 public:
  virtual ~WorkingMemory() = default;
  virtual size_t always() = 0;  // whatever is called
  // What logits, which are made, used up and forgotten chunk by chunk, should take: enough rows for
  // products to run at full speed.
  virtual size_t logits() = 0;
  virtual size_t bytes(const op::Matmul& args) = 0;
  virtual size_t bytes(const op::NormBackward& args) = 0;
  virtual size_t bytes(const op::AttentionForward& args) = 0;
  virtual size_t bytes(const op::AttentionBackward& args) = 0;
  virtual size_t bytes(const op::AttentionDecode& args) = 0;
};

// Blocks of working memory are multiples of this.
constexpr size_t kWorkingMemoryUnit = 4096;
constexpr size_t in_working_memory_units(size_t bytes) {
  return (bytes + kWorkingMemoryUnit - 1) / kWorkingMemoryUnit * kWorkingMemoryUnit;
}

}  // namespace weft
