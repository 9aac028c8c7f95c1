// Copies: bytes where the types are the same, elements where they change.
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

template <typename From, typename To>
void convert(int threads, int64_t n, const From* from, To* to) {
  parallel_for(threads, n, kGrain, [=](int64_t begin, int64_t end) {
    HostTeam().for_each(end - begin, [src = from + begin, dst = to + begin](int64_t i)
                                         WEFT_LANE { dst[i] = store<To>(load(src[i])); });
  });
}

}  // namespace

void CpuOps::run(const op::Copy& args, Stream& stream) {
  const Tensor &from = args.from, &to = args.to;
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
  detail::with_any(from.dtype(), [&](auto from_zero) {
    detail::with_any(to.dtype(), [&](auto to_zero) {
      using From = decltype(from_zero);
      using To = decltype(to_zero);
      cpu.run([threads = cpu.threads(), n = from.elements(),
               src = static_cast<const From*>(from.raw()),
               dst = static_cast<To*>(to.raw())] { convert(threads, n, src, dst); });
    });
  });
}

void CpuOps::run(const op::CopyStochastic& args, Stream& stream) {
  CpuStream& cpu = cpu_stream(stream);
  cpu.run([threads = cpu.threads(), n = args.from.elements(), src = args.from.data<float>(),
           dst = args.to.data<Bf16>(), key = args.key, elements = args.elements] {
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

void CpuOps::run(const op::CopyLastColumns& args, Stream& stream) {
  const Tensor &from = args.from, &to = args.to;
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
