// LayerNorm: a block per row; rows lie in shared memory between one reading and one writing of
// 16 bytes at a time.
#include "core/device/cuda/cuda_error.h"
#include "core/kernels/norm.h"
#include "core/ops/cuda/column_sums.h"
#include "core/ops/cuda/cuda_ops.h"
#include "core/ops/cuda/device_rows.cuh"

namespace weft::cuda {
namespace {

using kernels::CudaBlock;
extern __shared__ uint4 shared_memory[];

struct NormForward {
  int64_t rows, columns;
  const void *x, *residual;  // residual, sum and bias may be null
  void* sum;
  const void *weight, *bias;
  void* y;
  float *mean, *rstd;
  float eps;
};

struct NormBackward {
  int64_t rows, columns;
  const void *dy, *x, *weight;
  const float *mean, *rstd;
  void* dx;
  float *dweight, *dbias;  // dbias may be null
  float* partials;         // [blocks, 2 columns]
};

template <typename S>
__global__ __launch_bounds__(1024) void forward_kernel(NormForward a, bool staged) {
  const int64_t n = a.columns;
  const int64_t at = int64_t{blockIdx.x} * n;
  const S* x = static_cast<const S*>(a.x) + at;
  const S* residual = a.residual == nullptr ? nullptr : static_cast<const S*>(a.residual) + at;
  S* sum = a.residual == nullptr ? nullptr : static_cast<S*>(a.sum) + at;
  S* y = static_cast<S*>(a.y) + at;
  const CudaBlock team;
  if (!staged) {
    kernels::norm_forward_row(team, n, x, residual, sum, static_cast<const S*>(a.weight),
                              static_cast<const S*>(a.bias), a.eps, y, a.mean + blockIdx.x,
                              a.rstd + blockIdx.x);
    return;
  }
  S* first = reinterpret_cast<S*>(shared_memory);
  S* second = first + row_bytes<S>(n) / static_cast<int64_t>(sizeof(S));
  copy_row(n, x, first);
  if (residual != nullptr) copy_row(n, residual, second);
  team.sync();
  // The sum takes the place of x, then y that of the residual.
  kernels::norm_forward_row(team, n, static_cast<const S*>(first),
                            residual == nullptr ? nullptr : static_cast<const S*>(second),
                            residual == nullptr ? nullptr : first, static_cast<const S*>(a.weight),
                            static_cast<const S*>(a.bias), a.eps, second, a.mean + blockIdx.x,
                            a.rstd + blockIdx.x);
  team.sync();
  if (sum != nullptr) copy_row(n, static_cast<const S*>(first), sum);
  copy_row(n, static_cast<const S*>(second), y);
}

// Rows [block kRowsOfPartial, ...); their part of the weights' gradients goes to row `block` of the
// partials.
template <typename S>
__global__ __launch_bounds__(1024) void backward_kernel(NormBackward a, bool staged) {
  const int64_t n = a.columns;
  const int64_t width = a.dbias == nullptr ? n : 2 * n;
  const CudaBlock team;
  float* to = a.partials + int64_t{blockIdx.x} * width;
  float* partial = staged ? reinterpret_cast<float*>(shared_memory) : to;
  S* rows = reinterpret_cast<S*>(reinterpret_cast<char*>(shared_memory) + row_bytes<float>(width));
  const int64_t row_elements = row_bytes<S>(n) / static_cast<int64_t>(sizeof(S));
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) partial[i] = 0.0f;
  team.sync();
  const int64_t begin = int64_t{blockIdx.x} * kRowsOfPartial;
  const int64_t end = begin + kRowsOfPartial < a.rows ? begin + kRowsOfPartial : a.rows;
  for (int64_t r = begin; r < end; ++r) {
    const S* dy = static_cast<const S*>(a.dy) + r * n;
    const S* x = static_cast<const S*>(a.x) + r * n;
    S* dx = static_cast<S*>(a.dx) + r * n;
    S* dx_out = dx;
    if (staged) {
      copy_row(n, dy, rows);
      copy_row(n, x, rows + row_elements);
      copy_row(n, static_cast<const S*>(dx), rows + 2 * row_elements);
      dy = rows;
      x = rows + row_elements;
      dx = rows + 2 * row_elements;
      team.sync();
    }
    kernels::norm_backward_row(team, n, dy, x, static_cast<const S*>(a.weight), a.mean[r],
                               a.rstd[r], dx, partial, a.dbias == nullptr ? nullptr : partial + n);
    if (staged) {
      team.sync();
      copy_row(n, static_cast<const S*>(dx), dx_out);
      team.sync();
    }
  }
  if (staged) {
    team.sync();
    copy_row(width, static_cast<const float*>(partial), to);
  }
}

cudaError_t launch(DType dtype, const NormForward& a, cudaStream_t stream) {
  return with_storage(dtype, [&](auto zero) {
    using S = decltype(zero);
    const int64_t bytes = 2 * row_bytes<S>(a.columns);
    const bool staged = bytes <= kSharedBytes;
    return launch_rows(forward_kernel<S>, blocks_for(a.rows), threads_for(a.columns),
                       staged ? bytes : 0, stream, a, staged);
  });
}

cudaError_t launch(DType dtype, const NormBackward& a, cudaStream_t stream) {
  return with_storage(dtype, [&](auto zero) {
    using S = decltype(zero);
    const int64_t width = a.dbias == nullptr ? a.columns : 2 * a.columns;
    const int64_t bytes = row_bytes<float>(width) + 3 * row_bytes<S>(a.columns);
    const bool staged = bytes <= kSharedBytes;
    const int64_t blocks = blocks_of_rows(a.rows);
    const cudaError_t status =
        launch_rows(backward_kernel<S>, blocks_for(blocks), threads_for(a.columns),
                    staged ? bytes : 0, stream, a, staged);
    if (status != cudaSuccess) return status;
    return add_partials(blocks, width, a.columns, a.partials, a.dweight, a.dbias, stream);
  });
}

}  // namespace
}  // namespace weft::cuda

namespace weft {

void CudaOps::run(const op::NormForward& args, Stream& stream) {
  const cuda::NormForward a{.rows = args.x.shape().rows(),
                            .columns = args.x.shape().back(),
                            .x = args.x.raw(),
                            .residual = detail::raw_or_null(args.residual),
                            .sum = detail::raw_or_null(args.sum),
                            .weight = args.weight.raw(),
                            .bias = detail::raw_or_null(args.bias),
                            .y = args.y.raw(),
                            .mean = args.mean.data<float>(),
                            .rstd = args.rstd.data<float>(),
                            .eps = static_cast<float>(args.eps)};
  check_cuda(cuda::launch(args.x.dtype(), a, cuda_stream(stream).handle()), "start norm_forward");
}

void CudaOps::run(const op::NormBackward& args, Stream& stream) {
  const int64_t rows = args.x.shape().rows();
  const int64_t columns = args.x.shape().back();
  const cuda::NormBackward a{
      .rows = rows,
      .columns = columns,
      .dy = args.dy.raw(),
      .x = args.x.raw(),
      .weight = args.weight.raw(),
      .mean = args.mean.data<float>(),
      .rstd = args.rstd.data<float>(),
      .dx = args.dx.raw(),
      .dweight = args.dweight.data<float>(),
      .dbias = detail::data_or_null<float>(args.dbias),
      .partials = scratch_.get<float>(cuda::blocks_of_rows(rows) * 2 * columns)};
  check_cuda(cuda::launch(args.x.dtype(), a, cuda_stream(stream).handle()), "start norm_backward");
}

}  // namespace weft
