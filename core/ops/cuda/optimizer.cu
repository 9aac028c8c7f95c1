// AdamW and what decides about an update: all of it on the device, so that no host waits in a step.
#include <cmath>

#include "core/kernels/adamw.h"
#include "core/kernels/random_words.h"
#include "core/ops/cuda/device_rows.cuh"
#include "core/ops/cuda/kernels.h"

namespace weft::cuda {
namespace {

using kernels::CudaBlock;
using kernels::load;
constexpr int64_t kChunk = 8192;  // elements that a block updates
constexpr int kThreads = 256;
constexpr int64_t kNormBlock = 1024;  // Ops::kNormBlock

// Elements from `begin` on of a call, rounded with the words of their numbers in the whole tensor.
struct ByNumber {
  RandomKey keys[kernels::kRoundedTensors];
  Elements elements;
  int64_t begin;

  template <typename S>
  WEFT_KERNEL S round(float x, kernels::RoundedTensor tensor, int64_t i) const {
    if constexpr (std::is_same_v<S, Bf16>) {
      return kernels::store_stochastic(x,
                                       kernels::word_at(keys[tensor], elements.number(begin + i)));
    } else {
      return kernels::store<S>(x);
    }
  }
};

__device__ kernels::AdamWStep prepare(const AdamW& a) {
  const auto number = static_cast<double>(*a.update);
  kernels::AdamWStep s;
  s.grad_scale = *a.grad_scale;
  s.beta1 = static_cast<float>(a.beta1);
  s.beta2 = static_cast<float>(a.beta2);
  s.rate = static_cast<float>(a.lr / (1.0 - pow(a.beta1, number)));
  s.root_correction = static_cast<float>(1.0 / sqrt(1.0 - pow(a.beta2, number)));
  s.eps = static_cast<float>(a.eps);
  s.keep = static_cast<float>(1.0 - a.lr * a.weight_decay);
  return s;
}

template <typename M, typename C, bool stochastic>
__global__ __launch_bounds__(kThreads) void adamw_kernel(AdamW a) {
  const CudaBlock team;
  const int64_t begin = int64_t{blockIdx.x} * kChunk;
  const int64_t count = a.n - begin < kChunk ? a.n - begin : kChunk;
  float* grad = a.grad + begin;
  if (*a.update == 0) {
    team.for_each(count, [=](int64_t i) { grad[i] = 0.0f; });
    return;
  }
  __shared__ kernels::AdamWStep step;
  if (threadIdx.x == 0) step = prepare(a);
  team.sync();
  M* m = static_cast<M*>(a.exp_avg) + begin;
  M* v = static_cast<M*>(a.exp_avg_sq) + begin;
  C* copy = a.rounded == nullptr ? nullptr : static_cast<C*>(a.rounded) + begin;
  if constexpr (stochastic) {
    const auto now = static_cast<uint32_t>(*a.update);
    const ByNumber rounding{
        {{a.seed, a.streams[0], now}, {a.seed, a.streams[1], now}, {a.seed, a.streams[2], now}},
        a.elements,
        begin};
    kernels::adamw_run(team, count, step, rounding, a.weight + begin, grad, m, v, copy);
  } else {
    kernels::adamw_run(team, count, step, kernels::ToNearest(), a.weight + begin, grad, m, v, copy);
  }
}

template <typename M, typename C>
cudaError_t launch_adamw(const AdamW& a, cudaStream_t stream) {
  const unsigned blocks = blocks_for((a.n + kChunk - 1) / kChunk);
  return a.stochastic ? launch_rows(adamw_kernel<M, C, true>, blocks, kThreads, 0, stream, a)
                      : launch_rows(adamw_kernel<M, C, false>, blocks, kThreads, 0, stream, a);
}

// A warp per block of kNormBlock elements.
template <typename S>
__global__ __launch_bounds__(kThreads) void squares_kernel(int64_t n, const S* x,
                                                           double* partials) {
  const int64_t block = int64_t{blockIdx.x} * (kThreads / 32) + threadIdx.x / 32;
  const int64_t begin = block * kNormBlock;
  if (begin >= n) return;
  const int64_t end = begin + kNormBlock < n ? begin + kNormBlock : n;
  double sum = 0;
  for (int64_t i = begin + threadIdx.x % 32; i < end; i += 32) {
    const auto value = static_cast<double>(load(x[i]));
    sum += value * value;
  }
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(~0u, sum, offset);
  if (threadIdx.x % 32 == 0) partials[block] = sum;
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

// Counters as in UpdateArgs of ops.h.
__global__ void decide_kernel(DecideUpdate a) {
  enum { update, made, skipped, good };
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

}  // namespace

cudaError_t adamw(const AdamW& a, cudaStream_t stream) {
  const bool half = a.copy == DType::f16;
  if (a.moment == DType::bf16) {
    return half ? launch_adamw<Bf16, F16>(a, stream) : launch_adamw<Bf16, Bf16>(a, stream);
  }
  return half ? launch_adamw<float, F16>(a, stream) : launch_adamw<float, Bf16>(a, stream);
}

cudaError_t sum_squares(DType dtype, int64_t n, const void* x, double* partials,
                        cudaStream_t stream) {
  return with_storage(dtype, [&](auto zero) {
    using S = decltype(zero);
    constexpr int64_t kOfBlock = kNormBlock * (kThreads / 32);
    return launch_rows(squares_kernel<S>, blocks_for((n + kOfBlock - 1) / kOfBlock), kThreads, 0,
                       stream, n, static_cast<const S*>(x), partials);
  });
}

cudaError_t clip_factor(int64_t n, const double* partials, double max_norm, const float* loss_scale,
                        double* norm, float* clip, cudaStream_t stream) {
  clip_kernel<<<1, 1024, 0, stream>>>(n, partials, max_norm, loss_scale, norm, clip);
  return cudaGetLastError();
}

cudaError_t decide_update(const DecideUpdate& args, cudaStream_t stream) {
  decide_kernel<<<1, 1, 0, stream>>>(args);
  return cudaGetLastError();
}

}  // namespace weft::cuda
