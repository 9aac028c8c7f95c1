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

__device__ kernels::AdamWStep prepare(const AdamW& a, double weight_decay) {
  const auto number = static_cast<double>(*a.update);
  kernels::AdamWStep s;
  s.grad_scale = *a.grad_scale;
  s.beta1 = static_cast<float>(a.beta1);
  s.beta2 = static_cast<float>(a.beta2);
  s.rate = static_cast<float>(a.lr / (1.0 - pow(a.beta1, number)));
  s.root_correction = static_cast<float>(1.0 / sqrt(1.0 - pow(a.beta2, number)));
  s.eps = static_cast<float>(a.eps);
  s.keep = static_cast<float>(1.0 - a.lr * weight_decay);
  return s;
}

// Which tensor a block of threads works on: the last one whose first block is not behind it.
template <typename Args>
__device__ int tensor_of(const Args& a, unsigned block) {
  int low = 0, high = a.count - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (a.tensors[middle].first_block <= block) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

// Pointers of a chunk of one tensor; copy may be null.
template <typename M, typename C>
struct Chunk {
  float *w, *grad;
  M *m, *v;
  C* copy;

  __device__ Chunk(const AdamWTensor& t, int64_t begin)
      : w(t.weight + begin),
        grad(t.grad + begin),
        m(static_cast<M*>(t.exp_avg) + begin),
        v(static_cast<M*>(t.exp_avg_sq) + begin),
        copy(t.rounded == nullptr ? nullptr : static_cast<C*>(t.rounded) + begin) {}
  __device__ bool wide() const {
    return aligned16(w) && aligned16(grad) && aligned16(m) && aligned16(v) && aligned16(copy);
  }
  // Elements [i, i + N), each tensor read and written at once.
  template <int N, typename Rounding>
  __device__ void update(const kernels::AdamWStep& step, const Rounding& rounding,
                         int64_t i) const {
    const Pack<float, N> g = load_pack<N>(grad + i);
    Pack<float, N> weights = load_pack<N>(w + i);
    Pack<M, N> mean = load_pack<N>(m + i), square = load_pack<N>(v + i);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      kernels::adamw_element(step, rounding, i + j, g.v[j], weights.v[j], mean.v[j], square.v[j]);
    }
    store_pack<N>(w + i, weights);
    store_pack<N>(m + i, mean);
    store_pack<N>(v + i, square);
    store_pack<N>(grad + i, Pack<float, N>{});
    if (copy == nullptr) return;
    Pack<C, N> rounded;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      rounded.v[j] = rounding.template round<C>(weights.v[j], kernels::kRoundedWeight, i + j);
    }
    store_pack<N>(copy + i, rounded);
  }
};

template <typename M, typename C, bool stochastic>
__global__ __launch_bounds__(kThreads) void adamw_kernel(const __grid_constant__ AdamW a) {
  const AdamWTensor& t = a.tensors[tensor_of(a, blockIdx.x)];
  const int64_t begin = int64_t{blockIdx.x - t.first_block} * kChunk;
  const int64_t count = t.n - begin < kChunk ? t.n - begin : kChunk;
  const Chunk<M, C> chunk(t, begin);
  if (*a.update == 0) {
    CudaBlock().for_each(count, [&](int64_t i) { chunk.grad[i] = 0.0f; });
    return;
  }
  __shared__ kernels::AdamWStep shared_step;
  if (threadIdx.x == 0) shared_step = prepare(a, t.weight_decay);
  __syncthreads();
  const kernels::AdamWStep step = shared_step;
  constexpr int kWide = 4;
  const int64_t packs = chunk.wide() ? count / kWide : 0;
  const auto update_all = [&](const auto& rounding) {
    for (int64_t i = threadIdx.x; i < packs; i += kThreads) {
      chunk.template update<kWide>(step, rounding, i * kWide);
    }
    for (int64_t i = packs * kWide + threadIdx.x; i < count; i += kThreads) {
      chunk.template update<1>(step, rounding, i);
    }
  };
  if constexpr (stochastic) {
    const auto now = static_cast<uint32_t>(*a.update);
    update_all(ByNumber{
        {{a.seed, t.streams[0], now}, {a.seed, t.streams[1], now}, {a.seed, t.streams[2], now}},
        t.elements,
        begin});
  } else {
    update_all(kernels::ToNearest());
  }
}

// Shares blocks of threads out, one for `elements_of_block` elements each; returns how many.
template <typename Args>
unsigned share_out_blocks(Args& a, int64_t elements_of_block) {
  int64_t blocks = 0;
  for (int i = 0; i < a.count; ++i) {
    a.tensors[i].first_block = static_cast<unsigned>(blocks);
    blocks += (a.tensors[i].n + elements_of_block - 1) / elements_of_block;
  }
  return blocks_for(blocks);
}

template <typename M, typename C>
cudaError_t launch_adamw(AdamW& a, cudaStream_t stream) {
  const unsigned blocks = share_out_blocks(a, kChunk);
  return a.stochastic ? launch_rows(adamw_kernel<M, C, true>, blocks, kThreads, 0, stream, a)
                      : launch_rows(adamw_kernel<M, C, false>, blocks, kThreads, 0, stream, a);
}

// A warp per block of kNormBlock elements; a lane sums four side by side, then the next four that
// are its own, whether they can be read at once or not.
template <typename S>
__global__ __launch_bounds__(kThreads) void squares_kernel(const __grid_constant__ Squares a) {
  const SquaresTensor& t = a.tensors[tensor_of(a, blockIdx.x)];
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
cudaError_t launch_squares(Squares& a, cudaStream_t stream) {
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

cudaError_t adamw(AdamW& a, cudaStream_t stream) {
  const bool half = a.copy == DType::f16;
  if (a.moment == DType::bf16) {
    return half ? launch_adamw<Bf16, F16>(a, stream) : launch_adamw<Bf16, Bf16>(a, stream);
  }
  return half ? launch_adamw<float, F16>(a, stream) : launch_adamw<float, Bf16>(a, stream);
}

cudaError_t sum_squares(DType dtype, Squares& a, cudaStream_t stream) {
  if (dtype == DType::f64) return launch_squares<double>(a, stream);
  return with_storage(dtype, [&](auto zero) { return launch_squares<decltype(zero)>(a, stream); });
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
