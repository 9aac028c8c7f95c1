// add, scale, fill and copy.
#include <bit>
#include <cmath>
#include <cstring>

#include "core/device/cpu/parallel_for.h"
#include "core/kernels/team.h"
#include "core/ops/cpu/cpu_ops.h"

namespace weft {
namespace {

using kernels::HostTeam;
constexpr int64_t kGrain = 16384;  // elements; below this a thread costs more than it saves

// Storage types with a conversion to and from the arithmetic type that holds their values exactly.
struct Bf16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};

// Calls f with a value of the type that stores `dtype`.
template <typename F>
void with_storage(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::bf16:
      return f(Bf16{});
    case DType::f16:
      return f(F16{});
    case DType::i32:
      return f(int32_t{});
    case DType::i64:
      return f(int64_t{});
    case DType::u8:
      return f(uint8_t{});
    case DType::u16:
      return f(uint16_t{});
  }
}

template <typename T>
WEFT_KERNEL T load(T x) {
  return x;
}
WEFT_KERNEL float load(Bf16 x) { return std::bit_cast<float>(uint32_t{x.bits} << 16); }
WEFT_KERNEL float load(F16 x) { return static_cast<float>(std::bit_cast<_Float16>(x.bits)); }

template <typename To>
struct Store {
  template <typename From>
  static WEFT_KERNEL To from(From x) {
    return static_cast<To>(x);
  }
};
// Rounds to nearest, ties to even; NaN stays NaN.
template <>
struct Store<Bf16> {
  template <typename From>
  static WEFT_KERNEL Bf16 from(From x) {
    const auto bits = std::bit_cast<uint32_t>(static_cast<float>(x));
    const uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
    const bool nan = (bits & 0x7FFFFFFF) > 0x7F800000;
    return {static_cast<uint16_t>(nan ? (bits >> 16) | 0x40 : rounded)};
  }
};
template <>
struct Store<F16> {
  template <typename From>
  static WEFT_KERNEL F16 from(From x) {
    return {std::bit_cast<uint16_t>(static_cast<_Float16>(x))};
  }
};

template <typename From, typename To>
void convert(int threads, int64_t n, const From* from, To* to) {
  parallel_for(threads, n, kGrain, [=](int64_t begin, int64_t end) {
    HostTeam().for_each(end - begin, [src = from + begin, dst = to + begin](int64_t i)
                                         WEFT_LANE { dst[i] = Store<To>::from(load(src[i])); });
  });
}

}  // namespace

void CpuOps::add(const Tensor& a, const Tensor& b, const Tensor& y, Stream& stream) {
  check_add(a, b, y);
  detail::with_float(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(), n = a.elements(), p = a.data<T>(), q = b.data<T>(),
             to = y.data<T>()] {
      parallel_for(threads, n, kGrain, [=](int64_t begin, int64_t end) {
        HostTeam().for_each(
            end - begin, [=](int64_t i) WEFT_LANE { to[begin + i] = p[begin + i] + q[begin + i]; });
      });
    });
  });
}

void CpuOps::scale(const Tensor& x, double factor, Stream& stream) {
  check_float(x);
  detail::with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    CpuStream& cpu = cpu_stream(stream);
    cpu.run(
        [threads = cpu.threads(), n = x.elements(), to = x.data<T>(), by = static_cast<T>(factor)] {
          parallel_for(threads, n, kGrain, [=](int64_t begin, int64_t end) {
            HostTeam().for_each(end - begin, [=](int64_t i) WEFT_LANE { to[begin + i] *= by; });
          });
        });
  });
}

void CpuOps::fill(const Tensor& x, double value, Stream& stream) {
  CpuStream& cpu = cpu_stream(stream);
  with_storage(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    cpu.run([threads = cpu.threads(), n = x.elements(), to = static_cast<T*>(x.raw()),
             stored = Store<T>::from(value)] {
      parallel_for(threads, n, kGrain,
                   [=](int64_t begin, int64_t end) { std::fill(to + begin, to + end, stored); });
    });
  });
}

void CpuOps::copy(const Tensor& from, const Tensor& to, Stream& stream) {
  check_copy(from, to);
  CpuStream& cpu = cpu_stream(stream);
  if (from.dtype() == to.dtype()) {
    cpu.run([threads = cpu.threads(), bytes = static_cast<int64_t>(from.bytes()),
             src = static_cast<const char*>(from.raw()), dst = static_cast<char*>(to.raw())] {
      parallel_for(threads, bytes, 4 * kGrain, [=](int64_t begin, int64_t end) {
        std::memcpy(dst + begin, src + begin, static_cast<size_t>(end - begin));
      });
    });
    return;
  }
  with_storage(from.dtype(), [&](auto from_zero) {
    with_storage(to.dtype(), [&](auto to_zero) {
      using From = decltype(from_zero);
      using To = decltype(to_zero);
      cpu.run([threads = cpu.threads(), n = from.elements(),
               src = static_cast<const From*>(from.raw()),
               dst = static_cast<To*>(to.raw())] { convert(threads, n, src, dst); });
    });
  });
}

void CpuOps::copy_last_columns(const Tensor& from, const Tensor& to, Stream& stream) {
  check_copy_last_columns(from, to);
  CpuStream& cpu = cpu_stream(stream);
  const auto row_bytes = [](const Tensor& t) {
    return t.shape().back() * static_cast<int64_t>(size_of(t.dtype()));
  };
  const int64_t from_row = row_bytes(from);
  const int64_t to_row = row_bytes(to);
  const int64_t bytes = std::min(from_row, to_row);
  cpu.run([=, threads = cpu.threads(), rows = from.shape().rows(),
           src = static_cast<const char*>(from.raw()) + from_row - bytes,
           dst = static_cast<char*>(to.raw()) + to_row - bytes] {
    parallel_for(threads, rows, std::max<int64_t>(1, 4 * kGrain / bytes),
                 [=](int64_t begin, int64_t end) {
                   for (int64_t r = begin; r < end; ++r) {
                     std::memcpy(dst + r * to_row, src + r * from_row, static_cast<size_t>(bytes));
                   }
                 });
  });
}

}  // namespace weft
