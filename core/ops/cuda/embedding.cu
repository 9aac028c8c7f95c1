// Embeddings. The gradient of the table is summed without atomics: of all tokens with the same id
// the first one's block sums them, in token order.
#include "core/device/cuda/cuda_error.h"
#include "core/ops/cuda/cuda_ops.h"
#include "core/ops/cuda/device_rows.cuh"

namespace weft::cuda {
namespace {

using kernels::load;
using kernels::store;
constexpr int kThreads = 256;

struct Embedding {
  int64_t tokens, length, columns, rows, first;  // `rows` of the table, which begins at id `first`
  TokenShare places;
  const int32_t* ids;
};

// The table row of the i-th token, -1 if it is on another shard.
__device__ __forceinline__ int64_t row_of(const Embedding& at, int64_t i) {
  const int64_t r = at.ids[i] - at.first;
  return r >= 0 && r < at.rows ? r : -1;
}

// N columns of a token's vector.
template <typename S>
struct Lookup {
  Embedding at;
  const S *table, *positions;
  S* y;
  template <int N>
  __device__ __forceinline__ void run(int64_t element) const {
    const int64_t i = element / at.columns;
    const int64_t c = element % at.columns;
    const int64_t r = row_of(at, i);
    Pack<S, N> sum;
#pragma unroll
    for (int k = 0; k < N; ++k) sum.v[k] = store<S>(0.0f);
    if (r >= 0) sum = load_pack<N>(table + r * at.columns + c);
    if (positions != nullptr) {
      const auto p = load_pack<N>(positions + at.places.at(i % at.length) * at.columns + c);
#pragma unroll
      for (int k = 0; k < N; ++k) sum.v[k] = store<S>(load(sum.v[k]) + load(p.v[k]));
    }
    store_pack<N>(y + element, sum);
  }
};

// Adds rows of dy to N columns of sums, in the order of the list.
template <int N, typename S>
__device__ __forceinline__ void add_rows(const S* dy, int64_t columns, int64_t c, const int* list,
                                         int count, float (&sums)[N]) {
#pragma unroll 4
  for (int i = 0; i < count; ++i) {
    const auto row = load_pack<N>(dy + int64_t{list[i]} * columns + c);
#pragma unroll
    for (int k = 0; k < N; ++k) sums[k] += load(row.v[k]);
  }
}

// The tokens [begin, begin + kThreads) of row `r`, in order, as a list; returns how many. Ends with
// the whole block past a barrier.
__device__ __forceinline__ int list_equal(const Embedding& at, int64_t r, int64_t begin,
                                          int (&list)[kThreads]) {
  __shared__ int of_warps[kThreads / 32];
  const int64_t i = begin + threadIdx.x;
  const bool equal = i < at.tokens && row_of(at, i) == r;
  const unsigned in_warp = __ballot_sync(~0u, equal);
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = __popc(in_warp);
  __syncthreads();
  int before = 0, all = 0;
  for (int w = 0; w < kThreads / 32; ++w) {
    if (w < static_cast<int>(threadIdx.x / 32)) before += of_warps[w];
    all += of_warps[w];
  }
  if (equal) {
    before += __popc(in_warp & ((1u << (threadIdx.x % 32)) - 1));
    list[before] = static_cast<int>(i);
  }
  __syncthreads();
  return all;
}

template <int N, typename S>
__global__ __launch_bounds__(kThreads) void table_gradient_kernel(Embedding at, const S* dy,
                                                                  float* dtable) {
  const int64_t token = blockIdx.x;
  const int64_t r = row_of(at, token);
  if (r < 0) return;
  for (int64_t begin = 0; begin < token; begin += kThreads) {
    const int64_t i = begin + threadIdx.x;
    // Another block begins with an earlier token of this row.
    if (__syncthreads_or(i < token && row_of(at, i) == r)) return;
  }
  __shared__ int list[kThreads];
  // Columns that all threads take at once; one round does for up to 256 N columns.
  for (int64_t first = 0; first < at.columns; first += kThreads * N) {
    const int64_t c = first + threadIdx.x * N;
    float sums[N];
#pragma unroll
    for (int k = 0; k < N; ++k) sums[k] = c < at.columns ? dtable[r * at.columns + c + k] : 0.0f;
    for (int64_t begin = token; begin < at.tokens; begin += kThreads) {
      const int count = list_equal(at, r, begin, list);
      if (c < at.columns) add_rows<N>(dy, at.columns, c, list, count, sums);
      __syncthreads();  // the list may be written again
    }
    if (c < at.columns) {
#pragma unroll
      for (int k = 0; k < N; ++k) dtable[r * at.columns + c + k] = sums[k];
    }
  }
}

// A block per place of a sequence, which sums its samples in order: no two places share a position.
template <typename S>
__global__ __launch_bounds__(kThreads) void position_gradient_kernel(Embedding at, const S* dy,
                                                                     float* dpositions) {
  const int64_t place = blockIdx.x;
  float* to = dpositions + at.places.at(place) * at.columns;
  for (int64_t c = threadIdx.x; c < at.columns; c += kThreads) {
    float sum = to[c];
    for (int64_t i = place; i < at.tokens; i += at.length) sum += load(dy[i * at.columns + c]);
    to[c] = sum;
  }
}

cudaError_t launch_forward(DType dtype, const Embedding& at, const void* table,
                           const void* positions, void* y, cudaStream_t stream) {
  return with_storage(dtype, [&](auto zero) {
    using S = decltype(zero);
    constexpr int kWide = 16 / static_cast<int>(sizeof(S));
    const bool wide = at.columns % kWide == 0 && aligned16(table) && aligned16(y) &&
                      (positions == nullptr || aligned16(positions));
    const Lookup<S> lookup{at, static_cast<const S*>(table), static_cast<const S*>(positions),
                           static_cast<S*>(y)};
    return launch_elements<kWide>(at.tokens * at.columns, wide, lookup, stream);
  });
}

cudaError_t launch_backward(DType dtype, const Embedding& at, const void* dy, float* dtable,
                            float* dpositions, cudaStream_t stream) {
  return with_storage(dtype, [&](auto zero) {
    using S = decltype(zero);
    constexpr int kWide = 16 / static_cast<int>(sizeof(S));
    const S* from = static_cast<const S*>(dy);
    const unsigned blocks = blocks_for(at.tokens);
    const cudaError_t status = at.columns % kWide == 0 && aligned16(dy)
                                   ? launch_rows(table_gradient_kernel<kWide, S>, blocks, kThreads,
                                                 0, stream, at, from, dtable)
                                   : launch_rows(table_gradient_kernel<1, S>, blocks, kThreads, 0,
                                                 stream, at, from, dtable);
    if (status != cudaSuccess || dpositions == nullptr) return status;
    return launch_rows(position_gradient_kernel<S>, blocks_for(at.length), kThreads, 0, stream, at,
                       from, dpositions);
  });
}

Embedding embedding_of(const Tensor& tokens, const Tensor& table, int64_t vocab_begin,
                       const TokenShare& places) {
  return {.tokens = tokens.elements(),
          .length = tokens.shape().back(),
          .columns = table.shape().back(),
          .rows = table.shape().rows(),
          .first = vocab_begin,
          .places = places,
          .ids = tokens.data<int32_t>()};
}

}  // namespace
}  // namespace weft::cuda

namespace weft {

void CudaOps::run(const op::EmbeddingForward& args, Stream& stream) {
  const cuda::Embedding at =
      cuda::embedding_of(args.tokens, args.table, args.vocab_begin, args.places);
  check_cuda(cuda::launch_forward(args.table.dtype(), at, args.table.raw(),
                                  detail::raw_or_null(args.positions), args.y.raw(),
                                  cuda_stream(stream).handle()),
             "start embedding_forward");
}

void CudaOps::run(const op::EmbeddingBackward& args, Stream& stream) {
  const cuda::Embedding at =
      cuda::embedding_of(args.tokens, args.dtable, args.vocab_begin, args.places);
  check_cuda(cuda::launch_backward(args.dy.dtype(), at, args.dy.raw(), args.dtable.data<float>(),
                                   detail::data_or_null<float>(args.dpositions),
                                   cuda_stream(stream).handle()),
             "start embedding_backward");
}

}  // namespace weft
