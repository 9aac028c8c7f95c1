// Matrix products: cuBLASLt with its own epilogue where that computes what ops.h says, else with
// a pass of ours over products in f32.
#include <algorithm>

#include "core/device/cuda/cuda_error.h"
#include "core/ops/cuda/column_sums.h"
#include "core/ops/cuda/cuda_ops.h"
#include "core/ops/cuda/epilogue.h"

namespace weft {
namespace {

using detail::raw_or_null;

GemmTask describe(const op::Matmul& args) {
  GemmTask task;
  task.m = args.m();
  task.n = args.n();
  task.k = args.k();
  task.a_width = args.a.shape().back();
  task.c_width = args.c.shape().back();
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

// Sets the epilogue that does all that args ask for beyond the product; there is one.
void set_epilogue(const op::Matmul& args, GemmTask& task) {
  const bool bias = !args.bias.empty();
  const bool keeps = !args.pre_activation.empty();
  task.bias = raw_or_null(args.bias);
  if (args.activation_gradient != Activation::none) {
    task.epilogue = CUBLASLT_EPILOGUE_DGELU;
    task.aux = args.activation_input.raw();
  } else if (args.activation == Activation::none) {
    task.epilogue = bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  } else if (keeps) {
    task.epilogue = bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
    task.aux = args.pre_activation.raw();
  } else {
    task.epilogue = bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
  }
}

char* rows_from(void* p, int64_t row, int64_t columns, DType dtype) {
  if (p == nullptr) return nullptr;
  return static_cast<char*>(p) + static_cast<size_t>(row * columns) * size_of(dtype);
}

}  // namespace

// Blocks of rows go through working memory in f32, each finished before the next.
void CudaOps::finish_apart(const op::Matmul& args, GemmTask task, Stream& stream) {
  CudaStream& cuda = cuda_stream(stream);
  const DType dtype = args.c.dtype();
  const int64_t block = unfinished_rows(args);
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
    const cuda::Epilogue finish{.rows = task.m,
                                .columns = task.n,
                                .v = v,
                                .bias = raw_or_null(args.bias),
                                .pre = rows_of(args.pre_activation),
                                .input = gradient ? rows_of(args.activation_input) : nullptr,
                                .c = rows_of(args.c),
                                .activation = args.activation,
                                .gradient = args.activation_gradient};
    check_cuda(cuda::finish_product(dtype, finish, cuda.handle()), "start the end of a product");
  }
}

// The sums over rows come with the product where cuBLASLt has an algorithm for both; they are set,
// not added to.
void CudaOps::with_bias_gradient(const op::Matmul& args, GemmTask task, Stream& stream) {
  CudaStream& cuda = cuda_stream(stream);
  float* sums = args.bias_gradient.data<float>();
  float* partials = scratch_.get<float>(cuda::blocks_of_rows(task.k) * task.m);
  GemmTask fused = task;
  fused.epilogue = CUBLASLT_EPILOGUE_BGRADB;
  fused.bias = partials;
  if (gemm_.serves(fused, cuda)) {
    gemm_.run(fused, cuda);
    check_cuda(cuda::add_partials(1, task.m, task.m, partials, sums, nullptr, cuda.handle()),
               "start the end of a product");
    return;
  }
  gemm_.run(task, cuda);
  const cuda::ColumnSums columns{
      .rows = task.k, .columns = task.m, .x = args.a.raw(), .sums = sums, .partials = partials};
  check_cuda(cuda::add_column_sums(args.a.dtype(), columns, cuda.handle()),
             "start the gradient of a bias");
}

void CudaOps::run(const op::Matmul& args, Stream& stream) {
  expect_one_type(args, "cuBLASLt as weft calls it");
  CudaStream& cuda = cuda_stream(stream);
  GemmTask task = describe(args);
  if (!args.bias_gradient.empty()) {
    with_bias_gradient(args, task, stream);
    return;
  }
  const GemmTask plain = task;
  if (has_cublas_epilogue(args)) {
    set_epilogue(args, task);
    if (task.epilogue == plain.epilogue || gemm_.serves(task, cuda)) {
      gemm_.run(task, cuda);
      return;
    }
  }
  finish_apart(args, plain, stream);
}

}  // namespace weft
