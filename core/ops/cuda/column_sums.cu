#include "core/ops/cuda/column_sums.h"
#include "core/ops/cuda/device_rows.cuh"

namespace weft::cuda {
namespace {

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

cudaError_t add_partials(int64_t blocks, int64_t width, int64_t columns, const float* partials,
                         float* first, float* second, cudaStream_t stream) {
  finish_columns<<<static_cast<unsigned>((width + 31) / 32), 32 * kShares, 0, stream>>>(
      blocks, width, columns, partials, first, second);
  return cudaGetLastError();
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
    return add_partials(blocks, a.columns, a.columns, a.partials, a.sums, nullptr, stream);
  });
}

}  // namespace weft::cuda
