// Cross-entropy: a block per row of logits, which lies in shared memory where it fits.
#include "core/device/cuda/cuda_error.h"
#include "core/kernels/softmax.h"
#include "core/ops/cuda/cuda_ops.h"
#include "core/ops/cuda/device_rows.cuh"

namespace weft::cuda {
namespace {

using kernels::CudaBlock;
extern __shared__ uint4 shared_memory[];

struct Logits {
  int64_t rows, width, valid, first;
  void* x;
  const int32_t* targets;
};

// The column of the row's target; -1 if it is ignored or on another shard.
__device__ __forceinline__ int64_t column_of(const Logits& logits, int64_t r) {
  const int64_t c = logits.targets[r] - logits.first;
  return logits.targets[r] >= 0 && c >= 0 && c < logits.valid ? c : -1;
}

template <typename S>
__global__ __launch_bounds__(1024, 2) void stats_kernel(Logits logits, bool staged, float* top,
                                                        float* sum, float* hit) {
  const int64_t r = blockIdx.x;
  const CudaBlock team;
  const S* row = static_cast<const S*>(logits.x) + r * logits.width;
  const S* x = row;
  if (staged) {
    S* near = reinterpret_cast<S*>(shared_memory);
    copy_row(logits.valid, row, near);
    team.sync();
    x = near;
  }
  kernels::softmax_stats_row(team, logits.valid, x, top + r, sum + r);
  const int64_t c = column_of(logits, r);
  if (threadIdx.x == 0) hit[r] = c >= 0 ? kernels::load(row[c]) : 0.0f;
}

template <typename S>
__global__ __launch_bounds__(1024, 2) void gradient_kernel(Logits logits, bool staged,
                                                           const float* top, const float* sum,
                                                           double scale, const float* loss_scale) {
  const int64_t r = blockIdx.x;
  const CudaBlock team;
  S* row = static_cast<S*>(logits.x) + r * logits.width;
  if (logits.targets[r] < 0) {
    team.for_each(logits.width, [=](int64_t i) { row[i] = kernels::store<S>(0.0f); });
    return;
  }
  S* x = row;
  if (staged) {
    x = reinterpret_cast<S*>(shared_memory);
    copy_row(logits.valid, static_cast<const S*>(row), x);
    team.sync();
  }
  const double scaled = loss_scale == nullptr ? scale : scale * static_cast<double>(*loss_scale);
  kernels::softmax_gradient_row(team, logits.valid, logits.width, top[r],
                                static_cast<float>(scaled / static_cast<double>(sum[r])),
                                column_of(logits, r), static_cast<float>(scaled), x);
  if (staged) {
    team.sync();
    copy_row(logits.width, static_cast<const S*>(x), row);
  }
}

// The terms of a tile of rows side by side, their sum by one thread: in row order.
__global__ __launch_bounds__(1024) void loss_kernel(int64_t rows, const int32_t* targets,
                                                    const float* top, const float* sum,
                                                    const float* hit, double* loss) {
  __shared__ double terms[1024];
  double total = 0;
  for (int64_t begin = 0; begin < rows; begin += 1024) {
    const int64_t r = begin + threadIdx.x;
    if (r < rows && targets[r] >= 0) {
      terms[threadIdx.x] = std::log(static_cast<double>(sum[r])) + static_cast<double>(top[r]) -
                           static_cast<double>(hit[r]);
    } else {
      terms[threadIdx.x] = 0;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      for (int i = 0; i < 1024; ++i) total += terms[i];
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) *loss += total;
}

struct RescaleSum {
  float* sum;
  const float *from, *to;
  template <int N>
  __device__ __forceinline__ void run(int64_t i) const {
#pragma unroll
    for (int k = 0; k < N; ++k) sum[i + k] *= kernels::exp(from[i + k] - to[i + k]);
  }
};

template <typename Op>
Logits logits_of(const Op& op) {
  return {.rows = op.logits.shape().rows(),
          .width = op.logits.shape().back(),
          .valid = op.valid,
          .first = op.vocab_begin,
          .x = op.logits.raw(),
          .targets = op.targets.template data<int32_t>()};
}

cudaError_t launch_stats(DType dtype, const Logits& logits, float* top, float* sum, float* hit,
                         cudaStream_t stream) {
  return with_storage(dtype, [&](auto zero) {
    using S = decltype(zero);
    const int64_t bytes = row_bytes<S>(logits.width);
    const bool staged = bytes <= shared_bytes_here();
    return launch_rows(stats_kernel<S>, blocks_for(logits.rows), threads_for(logits.width),
                       staged ? bytes : 0, stream, logits, staged, top, sum, hit);
  });
}

cudaError_t launch_gradient(DType dtype, const Logits& logits, const float* top, const float* sum,
                            double scale, const float* loss_scale, cudaStream_t stream) {
  return with_storage(dtype, [&](auto zero) {
    using S = decltype(zero);
    const int64_t bytes = row_bytes<S>(logits.width);
    const bool staged = bytes <= shared_bytes_here();
    return launch_rows(gradient_kernel<S>, blocks_for(logits.rows), threads_for(logits.width),
                       staged ? bytes : 0, stream, logits, staged, top, sum, scale, loss_scale);
  });
}

}  // namespace
}  // namespace weft::cuda

namespace weft {

void CudaOps::run(const op::SoftmaxStats& args, Stream& stream) {
  check_cuda(cuda::launch_stats(args.logits.dtype(), cuda::logits_of(args),
                                args.row_max.data<float>(), args.row_sum.data<float>(),
                                args.target_logit.data<float>(), cuda_stream(stream).handle()),
             "start softmax_stats");
}

void CudaOps::run(const op::RescaleSums& args, Stream& stream) {
  const cuda::RescaleSum rescale{args.sum.data<float>(), args.from.data<float>(),
                                 args.to.data<float>()};
  check_cuda(
      cuda::launch_elements<4>(args.sum.elements(), false, rescale, cuda_stream(stream).handle()),
      "start rescale_sums");
}

void CudaOps::run(const op::CrossEntropyLoss& args, Stream& stream) {
  cuda::loss_kernel<<<1, 1024, 0, cuda_stream(stream).handle()>>>(
      args.targets.elements(), args.targets.data<int32_t>(), args.row_max.data<float>(),
      args.row_sum.data<float>(), args.target_logit.data<float>(), args.loss_sum.data<double>());
  check_cuda(cudaGetLastError(), "start cross_entropy_loss");
}

void CudaOps::run(const op::CrossEntropyBackward& args, Stream& stream) {
  check_cuda(cuda::launch_gradient(args.logits.dtype(), cuda::logits_of(args),
                                   args.row_max.data<float>(), args.row_sum.data<float>(),
                                   args.scale, detail::data_or_null<float>(args.loss_scale),
                                   cuda_stream(stream).handle()),
             "start cross_entropy_backward");
}

}  // namespace weft
