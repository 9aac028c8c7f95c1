// Counts what a program takes from the heap, but for what oneDNN takes within its calls: 3.7 does
// with every product, 2.6 does not. Defines the global operator new: include it in one file of a
// program.
#pragma once

#include <link.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace weft::testing {

inline std::atomic<int64_t>& allocations() {
  static std::atomic<int64_t> count{0};
  return count;
}

// Where oneDNN lies in memory; nowhere when it is not linked.
struct OneDnnRange {
  uintptr_t begin = 0, end = 0;

  OneDnnRange() { dl_iterate_phdr(look, this); }
  bool has(const void* caller) const {
    const auto at = reinterpret_cast<uintptr_t>(caller);
    return begin <= at && at < end;
  }

 private:
  static int look(dl_phdr_info* object, size_t, void* to) {
    auto& range = *static_cast<OneDnnRange*>(to);
    if (std::strstr(object->dlpi_name, "libdnnl") == nullptr) return 0;
    for (int i = 0; i < object->dlpi_phnum; ++i) {
      const auto& segment = object->dlpi_phdr[i];
      if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
      range.begin = object->dlpi_addr + segment.p_vaddr;
      range.end = range.begin + segment.p_memsz;
    }
    return 1;
  }
};

inline void count_allocation(const void* caller) {
  static const OneDnnRange onednn;
  if (!onednn.has(caller)) allocations().fetch_add(1, std::memory_order_relaxed);
}

}  // namespace weft::testing

// Not inlined: the compiler would see malloc on one side and delete on the other, and object.
[[gnu::noinline]] void* operator new(size_t bytes) {
  weft::testing::count_allocation(__builtin_return_address(0));
  void* p = std::malloc(bytes == 0 ? 1 : bytes);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }
