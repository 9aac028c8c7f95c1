// Matrix products: cuBLASLt with its own epilogue where that computes what ops.h says, else with
// a pass of ours over products in f32.
#include <algorithm>

#include "core/device/cuda/cuda_error.h"
#include "core/ops/cuda/cuda_ops.h"
#include "core/ops/cuda/kernels.h"

namespace weft {
namespace {

using detail::raw_or_null;

bool half(DType dtype) { return dtype == DType::bf16 || dtype == DType::f16; }

bool plain(const MatmulArgs& args) {
  return args.bias.empty() && args.pre_activation.empty() && args.activation == Activation::none &&
         args.activation_gradient == Activation::none;
}

GemmTask describe(const MatmulArgs& args) {
  GemmTask task;
  task.m = args.c.shape().rows();
  task.n = args.c.shape().back();
  task.k = args.transpose_a ? args.a.shape().rows() : args.a.shape().back();
  task.a = args.a.raw();
  task.b = args.b.raw();
  task.c = args.c.raw();
  task.type = args.a.dtype();
  task.c_type = args.c.dtype();
  task.transpose_a = args.transpose_a;
  task.transpose_b = args.transpose_b;
  task.accumulate = args.accumulate;
  return task;
}

// Sets the epilogue that does all that args ask for beyond the product; false if there is none.
// GELU's of cuBLASLt is the tanh form, of the accuracy of 16-bit results.
bool set_epilogue(const MatmulArgs& args, GemmTask& task) {
  const bool bias = !args.bias.empty();
  const bool keeps = !args.pre_activation.empty();
  if (args.activation == Activation::none && args.activation_gradient == Activation::none) {
    if (keeps) return false;
    task.epilogue = CUBLASLT_EPILOGUE_BIAS;
    task.bias = args.bias.raw();
    return true;
  }
  if (!half(task.c_type) || task.n % 8 != 0) return false;
  if (args.activation_gradient == Activation::gelu_tanh && args.activation == Activation::none &&
      !bias && !keeps && args.activation_input.raw() != args.c.raw()) {
    task.epilogue = CUBLASLT_EPILOGUE_DGELU;
    task.aux = args.activation_input.raw();
    return true;
  }
  if (args.activation != Activation::gelu_tanh || args.activation_gradient != Activation::none) {
    return false;
  }
  if (keeps) {
    task.epilogue = bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
    task.aux = args.pre_activation.raw();
  } else {
    task.epilogue = bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
  }
  task.bias = raw_or_null(args.bias);
  return true;
}

char* rows_from(void* p, int64_t row, int64_t columns, DType dtype) {
  if (p == nullptr) return nullptr;
  return static_cast<char*>(p) + static_cast<size_t>(row * columns) * size_of(dtype);
}

}  // namespace

// Blocks of rows go through working memory in f32, each finished before the next.
void CudaOps::finish_apart(const MatmulArgs& args, GemmTask task, Stream& stream) {
  constexpr int64_t kMostElements = int64_t{64} << 20;
  CudaStream& cuda = cuda_stream(stream);
  const DType dtype = args.c.dtype();
  // Rows of c are rows of a; of a transposed one they are columns, of which no block can be taken.
  const int64_t block =
      args.transpose_a ? task.m : std::clamp<int64_t>(kMostElements / task.n, 1, task.m);
  float* v = scratch_.get<float>(block * task.n);
  const int64_t rows = task.m;
  void* a = args.a.raw();
  task.epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  task.bias = nullptr;
  task.aux = nullptr;
  task.c = v;
  task.c_type = DType::f32;
  for (int64_t begin = 0; begin < rows; begin += block) {
    task.m = std::min(block, rows - begin);
    task.a = rows_from(a, begin, task.k, args.a.dtype());
    gemm_.run(task, cuda);
    const auto rows_of = [&](const Tensor& t) {
      return rows_from(raw_or_null(t), begin, task.n, dtype);
    };
    const bool gradient = args.activation_gradient != Activation::none;
    const cuda::Finish finish{.rows = task.m,
                              .columns = task.n,
                              .v = v,
                              .bias = raw_or_null(args.bias),
                              .pre = rows_of(args.pre_activation),
                              .input = gradient ? rows_of(args.activation_input) : nullptr,
                              .c = rows_of(args.c),
                              .activation = static_cast<int>(args.activation),
                              .gradient = static_cast<int>(args.activation_gradient)};
    check_cuda(cuda::finish_product(dtype, finish, cuda.handle()), "start the end of a product");
  }
}

void CudaOps::matmul(const MatmulArgs& args, Stream& stream) {
  check_matmul(args);
  CudaStream& cuda = cuda_stream(stream);
  GemmTask task = describe(args);
  if (plain(args) || (set_epilogue(args, task) && gemm_.serves(task, cuda))) {
    gemm_.run(task, cuda);
  } else {
    finish_apart(args, task, stream);
  }
}

}  // namespace weft
