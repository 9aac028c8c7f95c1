// Scratch: working memory of the CPU operations that need some.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "core/base/error.h"
#include "core/ops/working_memory.h"

namespace weft {

// Grow-only, 64-byte aligned memory. A call invalidates what the call before returned.
class Scratch {
 public:
  // At least `count` elements of T, contents undefined.
  template <typename T>
  T* get(int64_t count) {
    const size_t bytes = in_working_memory_units(static_cast<size_t>(count) * sizeof(T));
    if (bytes > bytes_) {
      memory_.reset();
      memory_.reset(std::aligned_alloc(kWorkingMemoryUnit, bytes));
      bytes_ = memory_ == nullptr ? 0 : bytes;
      if (memory_ == nullptr) {
        fail(ErrorKind::environment, "cannot allocate {} bytes of working memory", bytes);
      }
    }
    return static_cast<T*>(memory_.get());
  }
  size_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  std::unique_ptr<void, Free> memory_;
  size_t bytes_ = 0;
};

}  // namespace weft
