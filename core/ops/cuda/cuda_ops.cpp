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

cuda::Elements elements_of(const ElementMap& map) { return {map.first, map.columns, map.stride}; }

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
  check_cuda(cuda::copy_stochastic(from.elements(), from.data<float>(), to.raw(), key,
                                   elements_of(elements), handle(stream)),
             "start copy_stochastic");
}

void CudaOps::adamw(const AdamWArgs& args, std::span<const AdamWTensor> tensors, Stream& stream) {
  check_adamw(args, tensors);
  const Tensor& copy = tensors.front().rounded;
  cuda::AdamW a{.count = 0,
                .tensors = {},
                .moment = tensors.front().exp_avg.dtype(),
                .copy = copy.empty() ? DType::bf16 : copy.dtype(),
                .grad_scale = args.grad_scale.data<float>(),
                .update = args.update.data<int64_t>(),
                .lr = args.lr,
                .beta1 = args.beta1,
                .beta2 = args.beta2,
                .eps = args.eps,
                .stochastic = args.stochastic,
                .seed = tensors.front().rounding.seed};
  for (size_t i = 0; i < tensors.size(); ++i) {
    const AdamWTensor& t = tensors[i];
    const StochasticRounding& r = t.rounding;
    WEFT_CHECK(!args.stochastic || r.seed == a.seed, "adamw: two seeds, {} and {}", r.seed, a.seed);
    a.tensors[a.count++] = {.n = t.weight.elements(),
                            .weight = t.weight.data<float>(),
                            .grad = t.grad.data<float>(),
                            .exp_avg = t.exp_avg.raw(),
                            .exp_avg_sq = t.exp_avg_sq.raw(),
                            .rounded = raw_or_null(t.rounded),
                            .weight_decay = t.weight_decay,
                            .streams = {r.weight, r.exp_avg, r.exp_avg_sq},
                            .elements = elements_of(r.elements),
                            .first_block = 0};
    if (a.count < cuda::AdamW::kMostTensors && i + 1 < tensors.size()) continue;
    check_cuda(cuda::adamw(a, handle(stream)), "start adamw");
    a.count = 0;
  }
}

void CudaOps::decide_update(const UpdateArgs& args, Stream& stream) {
  check_decide_update(args);
  const cuda::DecideUpdate a{.norm = args.norm.data<double>(),
                             .counters = args.counters.data<int64_t>(),
                             .loss_scale = data_or_null<float>(args.loss_scale),
                             .growth_interval = args.growth_interval,
                             .growth = args.growth,
                             .backoff = args.backoff,
                             .min_scale = args.min_scale,
                             .max_scale = args.max_scale};
  check_cuda(cuda::decide_update(a, handle(stream)), "start decide_update");
}

void CudaOps::sum_squares(std::span<const SquareSums> tensors, Stream& stream) {
  check_sum_squares(tensors);
  cuda::Squares a{};
  for (size_t i = 0; i < tensors.size(); ++i) {
    const SquareSums& t = tensors[i];
    a.tensors[a.count++] = {.n = t.x.elements(),
                            .x = t.x.raw(),
                            .partials = t.partials.data<double>(),
                            .first_block = 0};
    if (a.count < cuda::Squares::kMostTensors && i + 1 < tensors.size()) continue;
    check_cuda(cuda::sum_squares(t.x.dtype(), a, handle(stream)), "start sum_squares");
    a.count = 0;
  }
}

void CudaOps::clip_factor(const Tensor& partials, double max_norm, const Tensor& loss_scale,
                          const Tensor& norm, const Tensor& clip, Stream& stream) {
  check_clip_factor(partials, loss_scale, norm, clip);
  check_cuda(cuda::clip_factor(partials.elements(), partials.data<double>(), max_norm,
                               data_or_null<float>(loss_scale), norm.data<double>(),
                               clip.data<float>(), handle(stream)),
             "start clip_factor");
}

std::unique_ptr<Ops> make_cuda_ops(Device& device) {
  return std::make_unique<CudaOps>(cuda_device(device));
}

}  // namespace weft
