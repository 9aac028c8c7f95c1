// Counts what a program takes from the heap. Defines the global operator new: include it in one
// file of a program.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace weft::testing {

inline std::atomic<int64_t>& allocations() {
  static std::atomic<int64_t> count{0};
  return count;
}

}  // namespace weft::testing

// Not inlined: the compiler would see malloc on one side and delete on the other, and object.
[[gnu::noinline]] void* operator new(size_t bytes) {
  weft::testing::allocations().fetch_add(1, std::memory_order_relaxed);
  void* p = std::malloc(bytes == 0 ? 1 : bytes);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }
