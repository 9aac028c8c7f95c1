// add, scale, fill and the copies.
#include <cstring>

#include "core/device/cpu/parallel_for.h"
#include "core/kernels/random_words.h"
#include "core/kernels/storage.h"
#include "core/ops/cpu/cpu_ops.h"
#include "core/ops/cpu/element_runs.h"

namespace weft {
namespace {

using kernels::HostTeam;
using kernels::load;
using kernels::store;
constexpr int64_t kGrain = 16384;  // elements; below this a thread costs more than it saves

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

template <typename From, typename To>
void convert(int threads, int64_t n, const From* from, To* to) {
  parallel_for(threads, n, kGrain, [=](int64_t begin, int64_t end) {
    HostTeam().for_each(end - begin, [src = from + begin, dst = to + begin](int64_t i)
                                         WEFT_LANE { dst[i] = store<To>(load(src[i])); });
  });
}

}  // namespace

void CpuOps::add(const Tensor& a, const Tensor& b, const Tensor& y, Stream& stream) {
  check_add(a, b, y);
  detail::with_float(a.dtype(), [&](auto zero) {
    using S = decltype(zero);
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(), n = a.elements(), p = a.data<S>(), q = b.data<S>(),
             to = y.data<S>()] {
      parallel_for(threads, n, kGrain, [=](int64_t begin, int64_t end) {
        HostTeam().for_each(end - begin, [=](int64_t i) WEFT_LANE {
          to[begin + i] = store<S>(load(p[begin + i]) + load(q[begin + i]));
        });
      });
    });
  });
}

void CpuOps::scale(const Tensor& x, double factor, Stream& stream) {
  check_float(x);
  detail::with_float(x.dtype(), [&](auto zero) {
    using S = decltype(zero);
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(), n = x.elements(), to = x.data<S>(),
             by = static_cast<kernels::Arithmetic<S>>(factor)] {
      parallel_for(threads, n, kGrain, [=](int64_t begin, int64_t end) {
        HostTeam().for_each(end - begin, [=](int64_t i) WEFT_LANE {
          to[begin + i] = store<S>(load(to[begin + i]) * by);
        });
      });
    });
  });
}

void CpuOps::fill(const Tensor& x, double value, Stream& stream) {
  CpuStream& cpu = cpu_stream(stream);
  with_storage(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    cpu.run([threads = cpu.threads(), n = x.elements(), to = static_cast<T*>(x.raw()),
             stored = store<T>(value)] {
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

void CpuOps::copy_stochastic(const Tensor& from, const Tensor& to, const RandomKey& key,
                             const ElementMap& elements, Stream& stream) {
  check_copy_stochastic(from, to, elements);
  CpuStream& cpu = cpu_stream(stream);
  cpu.run([threads = cpu.threads(), n = from.elements(), src = from.data<float>(),
           dst = to.data<Bf16>(), key, elements] {
    parallel_for(threads, n, kGrain, [=](int64_t begin, int64_t end) {
      uint32_t buffer[kernels::kWords];
      detail::for_each_run(elements, begin, end, [&](int64_t at, uint64_t first, int64_t count) {
        const uint32_t* words = kernels::random_words(HostTeam(), key, first, count, buffer);
        HostTeam().for_each(count, [=](int64_t i) WEFT_LANE {
          dst[at + i] = kernels::store_stochastic(src[at + i], words[i]);
        });
      });
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
