// The norm of the gradients, what clips them, and whether there is an update: all of it on the
// device, so that no host waits in a step.
#include <cmath>

#include "core/device/cuda/cuda_error.h"
#include "core/ops/cuda/cuda_ops.h"
#include "core/ops/cuda/device_rows.cuh"
#include "core/ops/cuda/tensor_list.cuh"

namespace weft::cuda {
namespace {

using kernels::CudaBlock;
using kernels::load;
constexpr int kThreads = 256;

struct Squares {
  int64_t n;
  const void* x;
  double* partials;
  unsigned first_block;
};
struct SquaresList {
  static constexpr int kMostTensors = 96;
  int count;
  Squares tensors[kMostTensors];
};

struct DecideUpdate {
  const double* norm;
  int64_t* counters;
  float* loss_scale;  // may be null
  int64_t growth_interval;
  double growth, backoff, min_scale, max_scale;
};

// A warp per block of kNormBlock elements; a lane sums four side by side, then the next four that
// are its own, whether they can be read at once or not.
template <typename S>
__global__ __launch_bounds__(kThreads) void squares_kernel(const __grid_constant__ SquaresList a) {
  const Squares& t = a.tensors[tensor_of(a, blockIdx.x)];
  const int64_t block = int64_t{blockIdx.x - t.first_block} * (kThreads / 32) + threadIdx.x / 32;
  const int64_t begin = block * kNormBlock;
  if (begin >= t.n) return;
  const int64_t count = t.n - begin < kNormBlock ? t.n - begin : kNormBlock;
  const S* x = static_cast<const S*>(t.x) + begin;
  constexpr int kWide = 4;
  const bool wide = aligned16(x);
  double sum = 0;
  for (int64_t i = threadIdx.x % 32 * kWide; i < count; i += 32 * kWide) {
    Pack<S, kWide> pack{};
    if (wide && i + kWide <= count) {
      pack = load_pack<kWide>(x + i);
    } else {
#pragma unroll
      for (int j = 0; j < kWide; ++j) {
        if (i + j < count) pack.v[j] = x[i + j];
      }
    }
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      const auto value = static_cast<double>(load(pack.v[j]));
      sum += value * value;
    }
  }
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(~0u, sum, offset);
  if (threadIdx.x % 32 == 0) t.partials[block] = sum;
}

template <typename S>
cudaError_t launch_squares(SquaresList& a, cudaStream_t stream) {
  const unsigned blocks = share_out_blocks(a, kNormBlock * (kThreads / 32));
  return launch_rows(squares_kernel<S>, blocks, kThreads, 0, stream, a);
}

// Sums in an order that the number of partials fixes; the CPU's is another one.
__global__ __launch_bounds__(1024) void clip_kernel(int64_t n, const double* partials,
                                                    double max_norm, const float* loss_scale,
                                                    double* norm, float* clip) {
  const double sum = CudaBlock().sum<double>(n, [=](int64_t i) { return partials[i]; });
  if (threadIdx.x != 0) return;
  const double scaled = loss_scale == nullptr ? 1.0 : static_cast<double>(*loss_scale);
  *norm = sqrt(sum) / scaled;
  const double limit = max_norm / (*norm + 1e-6);
  const double kept = max_norm == 0 || limit >= 1 ? 1.0 : limit;
  *clip = static_cast<float>(kept / scaled);
}

__global__ void decide_kernel(DecideUpdate a) {
  using enum op::DecideUpdate::Counter;
  const bool finite = isfinite(*a.norm);
  ++a.counters[finite ? made : skipped];
  a.counters[update] = finite ? a.counters[made] : 0;
  if (a.loss_scale == nullptr) return;
  const auto now = static_cast<double>(*a.loss_scale);
  if (!finite) {
    a.counters[good] = 0;
    *a.loss_scale = static_cast<float>(fmax(now * a.backoff, a.min_scale));
  } else if (++a.counters[good] >= a.growth_interval) {
    a.counters[good] = 0;
    *a.loss_scale = static_cast<float>(fmin(now * a.growth, a.max_scale));
  }
}

cudaError_t launch(DType dtype, SquaresList& a, cudaStream_t stream) {
  if (dtype == DType::f64) return launch_squares<double>(a, stream);
  return with_storage(dtype, [&](auto zero) { return launch_squares<decltype(zero)>(a, stream); });
}

}  // namespace
}  // namespace weft::cuda

namespace weft {

void CudaOps::run(const op::SumSquares& args, Stream& stream) {
  cuda::SquaresList a{};
  for (size_t i = 0; i < args.tensors.size(); ++i) {
    const BlockSquares& t = args.tensors[i];
    a.tensors[a.count++] = {.n = t.x.elements(),
                            .x = t.x.raw(),
                            .partials = t.partials.data<double>(),
                            .first_block = 0};
    if (a.count < cuda::SquaresList::kMostTensors && i + 1 < args.tensors.size()) continue;
    check_cuda(cuda::launch(t.x.dtype(), a, cuda_stream(stream).handle()), "start sum_squares");
    a.count = 0;
  }
}

void CudaOps::run(const op::ClipFactor& args, Stream& stream) {
  cuda::clip_kernel<<<1, 1024, 0, cuda_stream(stream).handle()>>>(
      args.partials.elements(), args.partials.data<double>(), args.max_norm,
      detail::data_or_null<float>(args.loss_scale), args.norm.data<double>(),
      args.clip.data<float>());
  check_cuda(cudaGetLastError(), "start clip_factor");
}

void CudaOps::run(const op::DecideUpdate& args, Stream& stream) {
  const cuda::DecideUpdate a{.norm = args.norm.data<double>(),
                             .counters = args.counters.data<int64_t>(),
                             .loss_scale = detail::data_or_null<float>(args.loss_scale),
                             .growth_interval = args.growth_interval,
                             .growth = args.growth,
                             .backoff = args.backoff,
                             .min_scale = args.min_scale,
                             .max_scale = args.max_scale};
  cuda::decide_kernel<<<1, 1, 0, cuda_stream(stream).handle()>>>(a);
  check_cuda(cudaGetLastError(), "start decide_update");
}

}  // namespace weft
