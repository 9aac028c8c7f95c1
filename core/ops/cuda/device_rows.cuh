// What the kernels over rows and elements share: types chosen at run time, 16-byte accesses, and
// rows that stay in shared memory while a Team works on them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/dtype.h"
#include "core/kernels/storage.h"
#include "core/kernels/team.h"

namespace weft::cuda {

// Calls f with a value of the storage type; refuses what no kernel is compiled for.
template <typename F>
cudaError_t with_storage(DType dtype, const F& f) {
  switch (dtype) {
    case DType::f32:
      return f(float{});
    case DType::bf16:
      return f(Bf16{});
    case DType::f16:
      return f(F16{});
    default:
      return cudaErrorInvalidValue;
  }
}

// N elements that are read and written at once.
template <typename S, int N>
struct alignas(sizeof(S) * N < 16 ? sizeof(S) * N : 16) Pack {
  S v[N];
};
template <int N, typename S>
__device__ __forceinline__ Pack<S, N> load_pack(const S* p) {
  return *reinterpret_cast<const Pack<S, N>*>(p);
}
template <int N, typename S>
__device__ __forceinline__ void store_pack(S* p, const Pack<S, N>& pack) {
  *reinterpret_cast<Pack<S, N>*>(p) = pack;
}

__host__ __device__ inline bool aligned16(const void* p) {
  return reinterpret_cast<uintptr_t>(p) % 16 == 0;
}

// Calls f.template run<N>(i) so that elements [0, n) are covered once, in pieces of N where `wide`
// and single ones at the end. All threads of the grid.
template <int N, typename F>
__global__ __launch_bounds__(256, 4) void elements_kernel(int64_t n, bool wide, F f) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  const int64_t thread = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t pieces = wide ? n / N : 0;
  for (int64_t i = thread; i < pieces; i += stride) f.template run<N>(i * N);
  for (int64_t i = pieces * N + thread; i < n; i += stride) f.template run<1>(i);
}

template <int N, typename F>
cudaError_t launch_elements(int64_t n, bool wide, const F& f, cudaStream_t stream) {
  if (n == 0) return cudaSuccess;
  constexpr int64_t kMostBlocks = 8192;
  const int64_t blocks = (n + 256 * N - 1) / (256 * N);
  elements_kernel<N>
      <<<static_cast<unsigned>(std::min(blocks, kMostBlocks)), 256, 0, stream>>>(n, wide, f);
  return cudaGetLastError();
}

// to[0, n) = from[0, n) by all threads of a block, 16 bytes at a time where both sides allow.
template <typename S>
__device__ __forceinline__ void copy_row(int64_t n, const S* from, S* to) {
  constexpr int kPiece = 16 / static_cast<int>(sizeof(S));
  const int64_t pieces = aligned16(from) && aligned16(to) ? n / kPiece : 0;
  for (int64_t i = threadIdx.x; i < pieces; i += blockDim.x) {
    store_pack<kPiece>(to + i * kPiece, load_pack<kPiece>(from + i * kPiece));
  }
  for (int64_t i = pieces * kPiece + threadIdx.x; i < n; i += blockDim.x) to[i] = from[i];
}

// Threads for a row of this many elements: about eight each, whole warps.
inline unsigned threads_for(int64_t columns) {
  const int64_t wanted = (columns / 8 + 31) / 32 * 32;
  return static_cast<unsigned>(std::clamp<int64_t>(wanted, 32, 1024));
}

inline unsigned blocks_for(int64_t rows) {
  return static_cast<unsigned>(std::min<int64_t>(rows, int64_t{1} << 30));
}

// Bytes of a row of n elements in shared memory, so that the next one is aligned.
template <typename S>
__host__ __device__ constexpr int64_t row_bytes(int64_t n) {
  return (n * static_cast<int64_t>(sizeof(S)) + 15) / 16 * 16;
}

// What a block may use of shared memory on every GPU since compute capability 8.0, beside what
// kernels declare themselves.
constexpr int64_t kSharedBytes = 98 * 1024;
// On the GPU in use.
inline int64_t shared_bytes_here() {
  int device = 0, bytes = 0;
  if (cudaGetDevice(&device) != cudaSuccess) return kSharedBytes;
  if (cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) !=
      cudaSuccess) {
    return kSharedBytes;
  }
  return bytes - 1024;  // less what kernels declare themselves
}

// kernel<<<blocks, threads, shared>>>(args), with leave to use that much shared memory.
template <typename Kernel, typename... Args>
cudaError_t launch_rows(Kernel* kernel, dim3 blocks, unsigned threads, int64_t shared_bytes,
                        cudaStream_t stream, const Args&... args) {
  if (blocks.x == 0 || blocks.y == 0 || blocks.z == 0) return cudaSuccess;
  const cudaError_t status = cudaFuncSetAttribute(
      kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
  if (status != cudaSuccess) return status;
  kernel<<<blocks, threads, static_cast<size_t>(shared_bytes), stream>>>(args...);
  return cudaGetLastError();
}

}  // namespace weft::cuda
