#include "core/kernels/simple_attention.h"
#include "core/ops/cuda/device_rows.cuh"
#include "core/ops/cuda/simple_attention.h"

namespace weft::cuda {
namespace {

using kernels::CudaBlock;
constexpr unsigned kThreads = 128;
extern __shared__ uint4 shared_memory[];

// Blocks are (query or key, head, sample).
template <typename S>
__global__ __launch_bounds__(kThreads) void forward_kernel(FlashForward a) {
  const AttentionProblem& s = a.shape;
  const int64_t i = blockIdx.x, h = blockIdx.y, b = blockIdx.z;
  const int64_t kv = s.kv_head(h);
  const S* keys = static_cast<const S*>(a.kv);
  const auto keep = [=](int64_t j) { return s.keep_factor == 0.0f ? 1.0f : s.dropout(b, h, i, j); };
  kernels::simple::forward_row(CudaBlock(), kernels::simple::keys_seen(s, i), s.dim, s.scale,
                               static_cast<const S*>(a.qkv) + s.q_at(b, h) + i * s.q_width,
                               keys + s.k_at(b, kv), keys + s.v_at(b, kv), s.kv_width, keep,
                               s.merge, static_cast<S*>(a.out) + s.out_at(b, h) + i * s.out_width(),
                               a.lse == nullptr ? nullptr : a.lse + s.lse_at(b, h) + i,
                               reinterpret_cast<float*>(shared_memory));
}

template <typename S>
__global__ __launch_bounds__(kThreads) void query_gradient_kernel(FlashBackward a) {
  const AttentionProblem& s = a.shape;
  const int64_t i = blockIdx.x, h = blockIdx.y, b = blockIdx.z;
  const int64_t kv = s.kv_head(h);
  const S* keys = static_cast<const S*>(a.kv);
  const int64_t out_at = s.out_at(b, h) + i * s.out_width();
  const int64_t lse_at = s.lse_at(b, h) + i;
  const auto keep = [=](int64_t j) { return s.keep_factor == 0.0f ? 1.0f : s.dropout(b, h, i, j); };
  kernels::simple::query_gradient_row(CudaBlock(), kernels::simple::keys_seen(s, i), s.dim, s.scale,
                                      static_cast<const S*>(a.qkv) + s.q_at(b, h) + i * s.q_width,
                                      keys + s.k_at(b, kv), keys + s.v_at(b, kv), s.kv_width, keep,
                                      static_cast<const S*>(a.dout) + out_at,
                                      static_cast<const S*>(a.out) + out_at, a.lse[lse_at], s.merge,
                                      static_cast<S*>(a.dqkv) + s.q_at(b, h) + i * s.q_width,
                                      a.delta + lse_at, reinterpret_cast<float*>(shared_memory));
}

template <typename S>
__global__ __launch_bounds__(kThreads, 4) void key_gradient_kernel(FlashBackward a) {
  const AttentionProblem& s = a.shape;
  const int64_t j = blockIdx.x, kv = blockIdx.y, b = blockIdx.z;
  const CudaBlock team;
  float* sums = reinterpret_cast<float*>(shared_memory);  // of the key, then of the value
  float* weights = sums + 2 * s.dim;
  float* dscores = weights + s.queries.count;
  team.for_each(2 * s.dim, [=](int64_t d) { sums[d] = 0.0f; });
  team.sync();
  const S* keys = static_cast<const S*>(a.kv);
  const int64_t k_at = s.k_at(b, kv) + j * s.kv_width;
  const int64_t v_at = s.v_at(b, kv) + j * s.kv_width;
  const int64_t first = kernels::simple::first_to_see(s, j);
  const int64_t group = s.heads / s.kv_heads;
  for (int64_t h = kv * group; h < (kv + 1) * group; ++h) {
    const auto keep = [=](int64_t i) {
      return s.keep_factor == 0.0f ? 1.0f : s.dropout(b, h, first + i, j);
    };
    kernels::simple::key_gradient_row(
        team, s.queries.count - first, s.dim, s.scale,
        static_cast<const S*>(a.qkv) + s.q_at(b, h) + first * s.q_width, s.q_width,
        static_cast<const S*>(a.dout) + s.out_at(b, h) + first * s.out_width(), s.out_width(),
        keys + k_at, keys + v_at, keep, a.lse + s.lse_at(b, h) + first,
        a.delta + s.lse_at(b, h) + first, sums, sums + s.dim, weights, dscores);
  }
  S* dkv = static_cast<S*>(a.dkv);
  team.for_each(s.dim, [=](int64_t d) {
    dkv[k_at + d] = kernels::store<S>(sums[d]);
    dkv[v_at + d] = kernels::store<S>(sums[s.dim + d]);
  });
}

// The keys and values of the new tokens into the caches, a block per token.
template <typename S>
__global__ __launch_bounds__(kThreads) void store_kernel(Decode a) {
  const AttentionProblem& s = a.shape;
  const int64_t i = blockIdx.x, b = blockIdx.y;
  const int64_t width = s.kv_heads * s.dim;
  const int64_t to = (b * a.capacity + a.past + i) * width;
  const S* row = static_cast<const S*>(a.qkv) + i * s.q_width;
  copy_row(width, row + s.k_at(b, 0), static_cast<S*>(a.keys) + to);
  copy_row(width, row + s.v_at(b, 0), static_cast<S*>(a.values) + to);
}

template <typename S>
__global__ __launch_bounds__(kThreads) void decode_kernel(Decode a) {
  const AttentionProblem& s = a.shape;
  const int64_t i = blockIdx.x, h = blockIdx.y, b = blockIdx.z;
  const int64_t width = s.kv_heads * s.dim;
  const int64_t cache = b * a.capacity * width + s.kv_head(h) * s.dim;
  kernels::simple::forward_row(
      CudaBlock(), a.past + i + 1, s.dim, s.scale,
      static_cast<const S*>(a.qkv) + s.q_at(b, h) + i * s.q_width,
      static_cast<const S*>(a.keys) + cache, static_cast<const S*>(a.values) + cache, width,
      [](int64_t) { return 1.0f; }, false,
      static_cast<S*>(a.out) + s.out_at(b, h) + i * s.out_width(), static_cast<float*>(nullptr),
      reinterpret_cast<float*>(shared_memory));
}

dim3 grid_of(int64_t rows, int64_t heads, int64_t batch) {
  return dim3(blocks_for(rows), static_cast<unsigned>(heads), static_cast<unsigned>(batch));
}

}  // namespace

// Two scores and, for a key, its two sums of at most 1024 elements.
int64_t simple_attention_limit() {
  return (shared_bytes_here() - 8192) / static_cast<int64_t>(2 * sizeof(float));
}

cudaError_t launch_simple_forward(const FlashForward& a, cudaStream_t stream) {
  return with_storage(a.dtype, [&](auto zero) {
    using S = decltype(zero);
    const AttentionProblem& s = a.shape;
    return launch_rows(forward_kernel<S>, grid_of(s.queries.count, s.heads, s.batch), kThreads,
                       row_bytes<float>(s.keys.count), stream, a);
  });
}

cudaError_t launch_simple_backward(const FlashBackward& a, cudaStream_t stream) {
  return with_storage(a.dtype, [&](auto zero) {
    using S = decltype(zero);
    const AttentionProblem& s = a.shape;
    const cudaError_t status =
        launch_rows(query_gradient_kernel<S>, grid_of(s.queries.count, s.heads, s.batch), kThreads,
                    row_bytes<float>(s.keys.count), stream, a);
    if (status != cudaSuccess) return status;
    return launch_rows(key_gradient_kernel<S>, grid_of(s.keys.count, s.kv_heads, s.batch), kThreads,
                       row_bytes<float>(2 * s.dim + 2 * s.queries.count), stream, a);
  });
}

cudaError_t launch_decode(const Decode& a, cudaStream_t stream) {
  return with_storage(a.dtype, [&](auto zero) {
    using S = decltype(zero);
    const AttentionProblem& s = a.shape;
    const cudaError_t status = launch_rows(
        store_kernel<S>, dim3(blocks_for(s.queries.count), static_cast<unsigned>(s.batch)),
        kThreads, 0, stream, a);
    if (status != cudaSuccess) return status;
    return launch_rows(decode_kernel<S>, grid_of(s.queries.count, s.heads, s.batch), kThreads,
                       row_bytes<float>(a.past + s.queries.count), stream, a);
  });
}

}  // namespace weft::cuda
