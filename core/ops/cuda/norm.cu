// LayerNorm: a block per row; rows lie in shared memory between one reading and one writing of
// 16 bytes at a time.
#include "core/kernels/norm.h"
#include "core/ops/cuda/device_rows.cuh"
#include "core/ops/cuda/kernels.h"

namespace weft::cuda {
namespace {

using kernels::CudaBlock;
extern __shared__ uint4 shared_memory[];

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

// sums[c] += partials[block, c] over the blocks: a warp's share of them for 32 columns each, every
// 32nd one in order, then the shares in order.
constexpr int kShares = 32;
__global__ __launch_bounds__(32 * kShares) void finish_columns(int64_t blocks, int64_t width,
                                                               int64_t columns,
                                                               const float* partials, float* first,
                                                               float* second) {
  __shared__ float shares[kShares][32];
  const int64_t c = int64_t{blockIdx.x} * 32 + threadIdx.x % 32;
  const int share = static_cast<int>(threadIdx.x) / 32;
  float total = 0.0f;
  if (c < width) {
#pragma unroll 4
    for (int64_t block = share; block < blocks; block += kShares) {
      total += partials[block * width + c];
    }
  }
  shares[share][threadIdx.x % 32] = total;
  __syncthreads();
  if (share != 0 || c >= width) return;
  total = 0.0f;
  for (int i = 0; i < kShares; ++i) total += shares[i][threadIdx.x];
  (c < columns ? first[c] : second[c - columns]) += total;
}

cudaError_t finish(int64_t blocks, int64_t width, int64_t columns, const float* partials,
                   float* first, float* second, cudaStream_t stream) {
  finish_columns<<<static_cast<unsigned>((width + 31) / 32), 32 * kShares, 0, stream>>>(
      blocks, width, columns, partials, first, second);
  return cudaGetLastError();
}

// A thread sums N columns of a block of rows.
template <typename S, int N>
__global__ __launch_bounds__(128) void column_sums_kernel(ColumnSums a) {
  const int64_t c = (int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * N;
  if (c >= a.columns) return;
  const int64_t begin = int64_t{blockIdx.x} * kRowsOfPartial;
  const int64_t end = begin + kRowsOfPartial < a.rows ? begin + kRowsOfPartial : a.rows;
  float total[N] = {};
  for (int64_t r = begin; r < end; ++r) {
    const Pack<S, N> row = load_pack<N>(static_cast<const S*>(a.x) + r * a.columns + c);
#pragma unroll
    for (int i = 0; i < N; ++i) total[i] += kernels::load(row.v[i]);
  }
#pragma unroll
  for (int i = 0; i < N; ++i) a.partials[int64_t{blockIdx.x} * a.columns + c + i] = total[i];
}

}  // namespace

cudaError_t norm_forward(DType dtype, const NormForward& a, cudaStream_t stream) {
  return with_storage(dtype, [&](auto zero) {
    using S = decltype(zero);
    const int64_t bytes = 2 * row_bytes<S>(a.columns);
    const bool staged = bytes <= kSharedBytes;
    return launch_rows(forward_kernel<S>, blocks_for(a.rows), threads_for(a.columns),
                       staged ? bytes : 0, stream, a, staged);
  });
}

cudaError_t norm_backward(DType dtype, const NormBackward& a, cudaStream_t stream) {
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
    return finish(blocks, width, a.columns, a.partials, a.dweight, a.dbias, stream);
  });
}

cudaError_t add_column_sums(DType dtype, const ColumnSums& a, cudaStream_t stream) {
  return with_storage(dtype, [&](auto zero) {
    using S = decltype(zero);
    constexpr int kWide = 16 / static_cast<int>(sizeof(S));
    const int64_t blocks = blocks_of_rows(a.rows);
    const bool wide = a.columns % kWide == 0 && aligned16(a.x);
    const int64_t threads = wide ? a.columns / kWide : a.columns;
    const dim3 grid(blocks_for(blocks), static_cast<unsigned>((threads + 127) / 128));
    const cudaError_t status =
        wide ? launch_rows(column_sums_kernel<S, kWide>, grid, 128, 0, stream, a)
             : launch_rows(column_sums_kernel<S, 1>, grid, 128, 0, stream, a);
    if (status != cudaSuccess) return status;
    return finish(blocks, a.columns, a.columns, a.partials, a.sums, nullptr, stream);
  });
}

}  // namespace weft::cuda
