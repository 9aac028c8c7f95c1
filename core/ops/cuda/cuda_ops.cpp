// The operations that are one launch or two.
#include "core/ops/cuda/cuda_ops.h"

#include <bit>

#include "core/base/error.h"
#include "core/device/cuda/cuda_error.h"
#include "core/kernels/dropout.h"
#include "core/ops/cuda/kernels.h"

namespace weft {

using detail::data_or_null;
using detail::raw_or_null;

namespace {

cudaStream_t handle(Stream& stream) { return cuda_stream(stream).handle(); }

// The bits of `value` in this type.
uint64_t bits_of(DType dtype, double value) {
  switch (dtype) {
    case DType::f64:
      return std::bit_cast<uint64_t>(value);
    case DType::f32:
      return std::bit_cast<uint32_t>(static_cast<float>(value));
    case DType::bf16:
      return kernels::store<Bf16>(value).bits;
    case DType::f16:
      return kernels::store<F16>(value).bits;
    default:
      return static_cast<uint64_t>(static_cast<int64_t>(value));
  }
}

// Null on a machine without cuDNN: attention is then computed by our own kernels.
std::unique_ptr<CudnnAttention> open_cudnn(bool deterministic) {
  try {
    return std::make_unique<CudnnAttention>(deterministic);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::environment) throw;
    return nullptr;
  }
}

}  // namespace

CudaOps::CudaOps(CudaDevice& device)
    : device_(device),
      gemm_(device, device.options().matmul_cache, device.options().measure_matmuls),
      cudnn_(open_cudnn(device.options().deterministic)),
      needs_(cudnn_.get(), device.options().deterministic),
      scratch_(device) {}

CudaOps::~CudaOps() = default;

void CudaOps::reserve(size_t bytes) {
  if (bytes > kGemmWorkspace) scratch_.get<char>(static_cast<int64_t>(bytes - kGemmWorkspace));
}

int64_t MeasuredWorkingMemory::cudnn_bytes(const AttentionProblem& problem, DType dtype,
                                           bool backward) {
  if (cudnn_ == nullptr) return -1;
  const int64_t bytes = cudnn_->workspace_bytes(problem, dtype, backward);
  return bytes > kMostAttentionWorkspace ? -1 : bytes;
}

void CudaOps::dropout(const DropoutArgs& args, const Tensor& x, const Tensor& y, Stream& stream) {
  check_dropout(args, x, y);
  const cuda::Dropout a{.rows = x.shape().rows(),
                        .columns = x.shape().back(),
                        .x = x.raw(),
                        .y = y.raw(),
                        .map = args.rows,
                        .key = args.key,
                        .first_column = args.first_column,
                        .global_columns = args.global_columns,
                        .threshold = kernels::dropout_threshold(args.p),
                        .factor = static_cast<float>(1.0 / (1.0 - args.p))};
  check_cuda(cuda::dropout(x.dtype(), a, handle(stream)), "start dropout");
}

void CudaOps::add(const Tensor& a, const Tensor& b, const Tensor& y, Stream& stream) {
  check_add(a, b, y);
  check_cuda(cuda::add(a.dtype(), a.elements(), a.raw(), b.raw(), y.raw(), handle(stream)),
             "start add");
}

void CudaOps::scale(const Tensor& x, double factor, Stream& stream) {
  check_float(x);
  check_cuda(
      cuda::scale(x.dtype(), x.elements(), x.raw(), static_cast<float>(factor), handle(stream)),
      "start scale");
}

void CudaOps::fill(const Tensor& x, double value, Stream& stream) {
  check_cuda(cuda::fill_bits(x.elements(), static_cast<int>(size_of(x.dtype())),
                             bits_of(x.dtype(), value), x.raw(), handle(stream)),
             "start fill");
}

void CudaOps::copy(const Tensor& from, const Tensor& to, Stream& stream) {
  check_copy(from, to);
  if (from.dtype() == to.dtype()) {
    check_cuda(cudaMemcpyAsync(to.raw(), from.raw(), from.bytes(), cudaMemcpyDeviceToDevice,
                               handle(stream)),
               "copy on the GPU");
    return;
  }
  check_cuda(cuda::convert(from.dtype(), to.dtype(), from.elements(), from.raw(), to.raw(),
                           handle(stream)),
             "start copy");
}

void CudaOps::copy_last_columns(const Tensor& from, const Tensor& to, Stream& stream) {
  check_copy_last_columns(from, to);
  const auto row_bytes = [](const Tensor& t) {
    return static_cast<size_t>(t.shape().back()) * size_of(t.dtype());
  };
  const size_t bytes = std::min(row_bytes(from), row_bytes(to));
  check_cuda(cudaMemcpy2DAsync(static_cast<char*>(to.raw()) + row_bytes(to) - bytes, row_bytes(to),
                               static_cast<const char*>(from.raw()) + row_bytes(from) - bytes,
                               row_bytes(from), bytes, static_cast<size_t>(from.shape().rows()),
                               cudaMemcpyDeviceToDevice, handle(stream)),
             "copy columns on the GPU");
}

void CudaOps::copy_stochastic(const Tensor& from, const Tensor& to, const RandomKey& key,
                              const ElementMap& elements, Stream& stream) {
  check_copy_stochastic(from, to, elements);
  check_cuda(cuda::copy_stochastic(from.elements(), from.data<float>(), to.raw(), key, elements,
                                   handle(stream)),
             "start copy_stochastic");
}

std::unique_ptr<Ops> make_cuda_ops(Device& device) {
  return std::make_unique<CudaOps>(cuda_device(device));
}

}  // namespace weft
