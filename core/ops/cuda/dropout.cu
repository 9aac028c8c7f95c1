// Dropout by regenerated masks: a block per row.
#include "core/device/cuda/cuda_error.h"
#include "core/kernels/dropout.h"
#include "core/ops/cuda/cuda_ops.h"
#include "core/ops/cuda/device_rows.cuh"

namespace weft::cuda {
namespace {

struct Dropout {
  int64_t rows, columns;
  const void* x;
  void* y;
  RowMap map;
  RandomKey key;
  int64_t first_column, global_columns;
  uint32_t threshold;
  float factor;
};

template <typename S>
__global__ __launch_bounds__(1024) void dropout_kernel(Dropout a) {
  const int64_t r = blockIdx.x;
  const int64_t first = a.map.at(r) * a.global_columns + a.first_column;
  kernels::dropout_blocks(kernels::CudaBlock(), a.key, static_cast<uint64_t>(first), a.columns,
                          a.threshold, a.factor, static_cast<const S*>(a.x) + r * a.columns,
                          static_cast<S*>(a.y) + r * a.columns);
}

cudaError_t launch(DType dtype, const Dropout& a, cudaStream_t stream) {
  return with_storage(dtype, [&](auto zero) {
    using S = decltype(zero);
    return launch_rows(dropout_kernel<S>, blocks_for(a.rows), threads_for(a.columns), 0, stream, a);
  });
}

}  // namespace
}  // namespace weft::cuda

namespace weft {

void CudaOps::run(const op::Dropout& args, Stream& stream) {
  const cuda::Dropout a{.rows = args.x.shape().rows(),
                        .columns = args.x.shape().back(),
                        .x = args.x.raw(),
                        .y = args.y.raw(),
                        .map = args.rows,
                        .key = args.key,
                        .first_column = args.first_column,
                        .global_columns = args.global_columns,
                        .threshold = kernels::dropout_threshold(args.p),
                        .factor = static_cast<float>(1.0 / (1.0 - args.p))};
  check_cuda(cuda::launch(args.x.dtype(), a, cuda_stream(stream).handle()), "start dropout");
}

}  // namespace weft
