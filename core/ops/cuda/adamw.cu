// AdamW: many tensors of a model unit in one launch, each element read and written once.
#include "core/device/cuda/cuda_error.h"
#include "core/kernels/adamw.h"
#include "core/ops/cuda/cuda_ops.h"
#include "core/ops/cuda/device_rows.cuh"
#include "core/ops/cuda/rounding.cuh"
#include "core/ops/cuda/tensor_list.cuh"

namespace weft::cuda {
namespace {

using kernels::CudaBlock;
constexpr int64_t kChunk = 8192;  // elements that a block updates
constexpr int kThreads = 256;

struct Moments {
  int64_t n;
  float *weight, *grad;
  void *exp_avg, *exp_avg_sq, *rounded;  // rounded may be null
  double weight_decay;
  uint32_t streams[3];  // of weight, exp_avg, exp_avg_sq
  ElementMap elements;
  unsigned first_block;
};
struct AdamWList {
  static constexpr int kMostTensors = 32;
  int count;
  Moments tensors[kMostTensors];
  DType moment, copy;
  const float* grad_scale;
  const int64_t* update;
  double lr, beta1, beta2, eps;
  bool stochastic;
  uint64_t seed;
};

__device__ kernels::AdamWStep prepare(const AdamWList& a, double weight_decay) {
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

// Pointers of a chunk of one tensor; copy may be null.
template <typename M, typename C>
struct Chunk {
  float *w, *grad;
  M *m, *v;
  C* copy;

  __device__ Chunk(const Moments& t, int64_t begin)
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
__global__ __launch_bounds__(kThreads) void adamw_kernel(const __grid_constant__ AdamWList a) {
  const Moments& t = a.tensors[tensor_of(a, blockIdx.x)];
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

template <typename M, typename C>
cudaError_t launch_adamw(AdamWList& a, cudaStream_t stream) {
  const unsigned blocks = share_out_blocks(a, kChunk);
  return a.stochastic ? launch_rows(adamw_kernel<M, C, true>, blocks, kThreads, 0, stream, a)
                      : launch_rows(adamw_kernel<M, C, false>, blocks, kThreads, 0, stream, a);
}

cudaError_t launch(AdamWList& a, cudaStream_t stream) {
  const bool half = a.copy == DType::f16;
  if (a.moment == DType::bf16) {
    return half ? launch_adamw<Bf16, F16>(a, stream) : launch_adamw<Bf16, Bf16>(a, stream);
  }
  return half ? launch_adamw<float, F16>(a, stream) : launch_adamw<float, Bf16>(a, stream);
}

}  // namespace
}  // namespace weft::cuda

namespace weft {

void CudaOps::run(const op::AdamW& args, Stream& stream) {
  const Tensor& copy = args.tensors.front().rounded;
  cuda::AdamWList a{.count = 0,
                    .tensors = {},
                    .moment = args.tensors.front().exp_avg.dtype(),
                    .copy = copy.empty() ? DType::bf16 : copy.dtype(),
                    .grad_scale = args.grad_scale.data<float>(),
                    .update = args.update.data<int64_t>(),
                    .lr = args.lr,
                    .beta1 = args.beta1,
                    .beta2 = args.beta2,
                    .eps = args.eps,
                    .stochastic = args.stochastic,
                    .seed = args.tensors.front().rounding.seed};
  for (size_t i = 0; i < args.tensors.size(); ++i) {
    const AdamWTensor& t = args.tensors[i];
    const StochasticRounding& r = t.rounding;
    a.tensors[a.count++] = {.n = t.weight.elements(),
                            .weight = t.weight.data<float>(),
                            .grad = t.grad.data<float>(),
                            .exp_avg = t.exp_avg.raw(),
                            .exp_avg_sq = t.exp_avg_sq.raw(),
                            .rounded = detail::raw_or_null(t.rounded),
                            .weight_decay = t.weight_decay,
                            .streams = {r.weight, r.exp_avg, r.exp_avg_sq},
                            .elements = r.elements,
                            .first_block = 0};
    if (a.count < cuda::AdamWList::kMostTensors && i + 1 < args.tensors.size()) continue;
    check_cuda(cuda::launch(a, cuda_stream(stream).handle()), "start adamw");
    a.count = 0;
  }
}

}  // namespace weft
