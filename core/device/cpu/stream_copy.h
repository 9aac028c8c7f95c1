// stream_copy: memcpy past the caches, for copies that are read much later, if at all, by this
// core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace weft {

// As memcpy. A store that goes around the caches does not first read the line that it overwrites:
// two thirds of the traffic. glibc does so too, but only for blocks nearly as large as the last
// cache.
inline void stream_copy(void* to, const void* from, size_t bytes) {
#if defined(__SSE2__)
  constexpr size_t kVector = sizeof(__m128i);
  constexpr size_t kLine = 4 * kVector;
  auto* out = static_cast<std::byte*>(to);
  const auto* in = static_cast<const std::byte*>(from);
  const size_t head = (kVector - reinterpret_cast<uintptr_t>(out) % kVector) % kVector;
  if (bytes >= head + kLine) {
    std::memcpy(out, in, head);
    out += head, in += head, bytes -= head;
    for (; bytes >= kLine; out += kLine, in += kLine, bytes -= kLine) {
      auto* vectors = reinterpret_cast<__m128i*>(out);
      const auto* source = reinterpret_cast<const __m128i*>(in);
      const __m128i a = _mm_loadu_si128(source), b = _mm_loadu_si128(source + 1);
      const __m128i c = _mm_loadu_si128(source + 2), d = _mm_loadu_si128(source + 3);
      _mm_stream_si128(vectors, a);
      _mm_stream_si128(vectors + 1, b);
      _mm_stream_si128(vectors + 2, c);
      _mm_stream_si128(vectors + 3, d);
    }
    _mm_sfence();
  }
  std::memcpy(out, in, bytes);
#else
  std::memcpy(to, from, bytes);
#endif
}

}  // namespace weft
