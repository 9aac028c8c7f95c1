// Momentum, and the step along a direction.
#include "core/device/cuda/cuda_error.h"
#include "core/kernels/descent.h"
#include "core/ops/cuda/cuda_ops.h"
#include "core/ops/cuda/rounding.cuh"
#include "core/ops/cuda/tensor_list.cuh"

namespace weft::cuda {
namespace {

using kernels::CudaBlock;
constexpr int64_t kChunk = 8192;  // elements that a block updates
constexpr int kThreads = 256;

// `stream` is of the tensor that is rounded.
struct Mean {
  int64_t n;
  float* grad;
  void* momentum;
  uint32_t stream;
  ElementMap elements;
  unsigned first_block;
};
struct MomentumList {
  static constexpr int kMostTensors = 48;
  int count;
  Mean tensors[kMostTensors];
  DType type;
  const float* grad_scale;
  const int64_t* update;
  double decay, take;
  bool nesterov, stochastic;
  uint64_t seed;
};

struct Weight {
  int64_t n;
  float *weight, *grad;
  const void* direction;
  void* rounded;  // may be null
  double scale, weight_decay;
  uint32_t stream;
  ElementMap elements;
  unsigned first_block;
};
struct DescentList {
  static constexpr int kMostTensors = 32;
  int count;
  Weight tensors[kMostTensors];
  DType direction, copy;
  const int64_t* update;
  double lr;
  bool stochastic;
  uint64_t seed;
};

struct Range {
  int64_t begin, count;
};
template <typename Tensor>
__device__ Range chunk_of(const Tensor& t) {
  const int64_t begin = int64_t{blockIdx.x - t.first_block} * kChunk;
  return {begin, t.n - begin < kChunk ? t.n - begin : kChunk};
}

// Calls f with what rounds tensor `which` of the elements from `begin` on.
template <typename Args, typename Tensor, typename F>
__device__ void with_rounding(const Args& a, const Tensor& t, kernels::RoundedTensor which,
                              int64_t begin, const F& f) {
  if (!a.stochastic) return f(kernels::ToNearest());
  ByNumber rounding{{}, t.elements, begin};
  rounding.keys[which] = {a.seed, t.stream, static_cast<uint32_t>(*a.update)};
  f(rounding);
}

template <typename M>
__global__ __launch_bounds__(kThreads) void momentum_kernel(
    const __grid_constant__ MomentumList a) {
  const Mean& t = a.tensors[tensor_of(a, blockIdx.x)];
  const Range range = chunk_of(t);
  float* grad = t.grad + range.begin;
  if (*a.update == 0) {
    CudaBlock().for_each(range.count, [=](int64_t i) { grad[i] = 0.0f; });
    return;
  }
  M* m = static_cast<M*>(t.momentum) + range.begin;
  const kernels::MomentumStep step{static_cast<float>(a.take * static_cast<double>(*a.grad_scale)),
                                   static_cast<float>(a.decay), a.nesterov};
  with_rounding(a, t, kernels::kRoundedExpAvg, range.begin, [&](const auto& rounding) {
    CudaBlock().for_each(range.count, [&](int64_t i) {
      kernels::momentum_element(step, rounding, i, grad[i], m[i]);
    });
  });
}

template <typename D, typename C>
__global__ __launch_bounds__(kThreads) void descent_kernel(const __grid_constant__ DescentList a) {
  const Weight& t = a.tensors[tensor_of(a, blockIdx.x)];
  const Range range = chunk_of(t);
  float* grad = t.grad + range.begin;
  if (*a.update == 0) {
    CudaBlock().for_each(range.count, [=](int64_t i) { grad[i] = 0.0f; });
    return;
  }
  float* w = t.weight + range.begin;
  const D* direction = static_cast<const D*>(t.direction) + range.begin;
  C* copy = t.rounded == nullptr ? nullptr : static_cast<C*>(t.rounded) + range.begin;
  const kernels::DescentStep step{static_cast<float>(1.0 - a.lr * t.weight_decay),
                                  static_cast<float>(a.lr * t.scale)};
  with_rounding(a, t, kernels::kRoundedWeight, range.begin, [&](const auto& rounding) {
    CudaBlock().for_each(range.count, [&](int64_t i) {
      kernels::descent_element(step, w[i], direction[i]);
      if (copy != nullptr) {
        copy[i] = rounding.template round<C>(w[i], kernels::kRoundedWeight, i);
      }
      grad[i] = 0.0f;
    });
  });
}

cudaError_t launch(MomentumList& a, cudaStream_t stream) {
  const unsigned blocks = share_out_blocks(a, kChunk);
  return a.type == DType::bf16
             ? launch_rows(momentum_kernel<Bf16>, blocks, kThreads, 0, stream, a)
             : launch_rows(momentum_kernel<float>, blocks, kThreads, 0, stream, a);
}

cudaError_t launch(DescentList& a, cudaStream_t stream) {
  const unsigned blocks = share_out_blocks(a, kChunk);
  return with_storage(a.direction, [&](auto zero) {
    using D = decltype(zero);
    return a.copy == DType::f16
               ? launch_rows(descent_kernel<D, F16>, blocks, kThreads, 0, stream, a)
               : launch_rows(descent_kernel<D, Bf16>, blocks, kThreads, 0, stream, a);
  });
}

}  // namespace
}  // namespace weft::cuda

namespace weft {

void CudaOps::run(const op::Momentum& args, Stream& stream) {
  cuda::MomentumList a{.count = 0,
                       .tensors = {},
                       .type = args.tensors.front().momentum.dtype(),
                       .grad_scale = args.grad_scale.data<float>(),
                       .update = args.update.data<int64_t>(),
                       .decay = args.decay,
                       .take = args.take,
                       .nesterov = args.nesterov,
                       .stochastic = args.stochastic,
                       .seed = args.tensors.front().rounding.seed};
  for (size_t i = 0; i < args.tensors.size(); ++i) {
    const MomentumTensor& t = args.tensors[i];
    a.tensors[a.count++] = {.n = t.grad.elements(),
                            .grad = t.grad.data<float>(),
                            .momentum = t.momentum.raw(),
                            .stream = t.rounding.exp_avg,
                            .elements = t.rounding.elements,
                            .first_block = 0};
    if (a.count < cuda::MomentumList::kMostTensors && i + 1 < args.tensors.size()) continue;
    check_cuda(cuda::launch(a, cuda_stream(stream).handle()), "start momentum");
    a.count = 0;
  }
}

void CudaOps::run(const op::Descend& args, Stream& stream) {
  const Tensor& copy = args.tensors.front().rounded;
  cuda::DescentList a{.count = 0,
                      .tensors = {},
                      .direction = args.tensors.front().direction.dtype(),
                      .copy = copy.empty() ? DType::bf16 : copy.dtype(),
                      .update = args.update.data<int64_t>(),
                      .lr = args.lr,
                      .stochastic = args.stochastic,
                      .seed = args.tensors.front().rounding.seed};
  for (size_t i = 0; i < args.tensors.size(); ++i) {
    const DescentTensor& t = args.tensors[i];
    a.tensors[a.count++] = {.n = t.weight.elements(),
                            .weight = t.weight.data<float>(),
                            .grad = t.grad.data<float>(),
                            .direction = t.direction.raw(),
                            .rounded = detail::raw_or_null(t.rounded),
                            .scale = t.scale,
                            .weight_decay = t.weight_decay,
                            .stream = t.rounding.weight,
                            .elements = t.rounding.elements,
                            .first_block = 0};
    if (a.count < cuda::DescentList::kMostTensors && i + 1 < args.tensors.size()) continue;
    check_cuda(cuda::launch(a, cuda_stream(stream).handle()), "start descend");
    a.count = 0;
  }
}

}  // namespace weft
