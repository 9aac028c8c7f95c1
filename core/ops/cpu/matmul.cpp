// Matrix products: the BLAS of oneDNN in f32, our own in f64, and the epilogue in one pass over the
// result.
#include <dnnl.h>
#include <omp.h>

#include "core/device/cpu/parallel_for.h"
#include "core/kernels/activation.h"
#include "core/ops/cpu/cpu_ops.h"
#include "core/ops/cpu/gemm.h"

namespace weft {
namespace {

using kernels::HostTeam;

// A matmul as plain pointers; bias, pre and input may be null.
template <typename T>
struct MatmulTask {
  int64_t m, n, k;
  const T *a, *b;
  T* c;
  bool transpose_a, transpose_b, accumulate;
  const T* bias;
  T* pre;
  const T* input;
  Activation activation, gradient;

  bool epilogue() const {
    return bias != nullptr || pre != nullptr || activation != Activation::none ||
           gradient != Activation::none;
  }
};

template <typename T>
MatmulTask<T> describe(const MatmulArgs& args) {
  MatmulTask<T> t{};
  t.m = args.c.shape().rows();
  t.n = args.c.shape().back();
  t.k = args.transpose_a ? args.a.shape().rows() : args.a.shape().back();
  t.a = args.a.data<T>();
  t.b = args.b.data<T>();
  t.c = args.c.data<T>();
  t.transpose_a = args.transpose_a;
  t.transpose_b = args.transpose_b;
  t.accumulate = args.accumulate;
  t.bias = detail::optional_data<T>(args.bias);
  t.pre = detail::optional_data<T>(args.pre_activation);
  t.activation = args.activation;
  t.gradient = args.activation_gradient;
  if (t.gradient != Activation::none) t.input = args.activation_input.data<T>();
  return t;
}

// out [rows, n] (+)= rows [begin, begin + rows) of op(a) times op(b).
void product(const MatmulTask<float>& t, int64_t begin, int64_t rows, float* out, int threads,
             Scratch&) {
  if (omp_get_max_threads() != threads) omp_set_num_threads(threads);
  const float* a = t.a + (t.transpose_a ? begin : begin * t.k);
  const dnnl_status_t status =
      dnnl_sgemm(t.transpose_a ? 'T' : 'N', t.transpose_b ? 'T' : 'N', rows, t.n, t.k, 1.0f, a,
                 t.transpose_a ? t.m : t.k, t.b, t.transpose_b ? t.k : t.n,
                 t.accumulate ? 1.0f : 0.0f, out, t.n);
  WEFT_CHECK(status == dnnl_success, "dnnl_sgemm of {}x{}x{} failed with status {}", rows, t.n, t.k,
             static_cast<int>(status));
}
void product(const MatmulTask<double>& t, int64_t begin, int64_t rows, double* out, int threads,
             Scratch& scratch) {
  detail::GemmTask<double> g{};
  g.m = rows;
  g.n = t.n;
  g.k = t.k;
  g.a = t.a + (t.transpose_a ? begin : begin * t.k);
  g.a_row = t.transpose_a ? 1 : t.k;
  g.a_column = t.transpose_a ? t.m : 1;
  g.b = t.b;
  g.b_row = t.transpose_b ? 1 : t.n;
  g.b_column = t.transpose_b ? t.k : 1;
  g.c = out;
  g.accumulate = t.accumulate;
  detail::gemm(g, threads, scratch);
}

template <typename T, typename F>
void with_activation(Activation activation, F&& f) {
  switch (activation) {
    case Activation::none:
      return f(kernels::Identity<T>{});
    case Activation::relu:
      return f(kernels::Relu<T>{});
    case Activation::gelu_tanh:
      return f(kernels::GeluTanh<T>{});
    case Activation::gelu:
      return f(kernels::Gelu<T>{});
  }
}

// Finishes `rows` rows of c from row `begin` on, whose products are in v (c's own rows, or other
// memory). Columns go in pieces that stay in the first-level cache through the passes of one row.
template <typename T>
void finish_rows(const MatmulTask<T>& t, T* v, int64_t begin, int64_t rows) {
  constexpr int64_t kPiece = 1024;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < t.n; j += kPiece) {
      const int64_t at = (begin + r) * t.n + j;
      const int64_t count = std::min(kPiece, t.n - j);
      T* piece = v + r * t.n + j;
      with_activation<T>(t.activation, [&](auto act) {
        kernels::activate_row<decltype(act)>(HostTeam(), count,
                                             t.bias == nullptr ? nullptr : t.bias + j,
                                             t.pre == nullptr ? nullptr : t.pre + at, piece);
      });
      if (t.gradient == Activation::none) continue;
      with_activation<T>(t.gradient, [&](auto act) {
        kernels::activation_gradient_row<decltype(act)>(HostTeam(), count, piece, t.input + at,
                                                        t.c + at);
      });
    }
  }
}

// The product, then one pass over c. The product is not cut into blocks of rows that would still be
// in cache for the pass: each call of the BLAS packs all of b again, which costs more than reading
// c once more. Only where c is also the activation's input do products go aside, block by block.
template <typename T>
void run_with_epilogue(const MatmulTask<T>& t, int threads, Scratch& scratch, Scratch& products) {
  constexpr int64_t kAsideRows = 1024;
  const bool aside = t.input == t.c;
  const int64_t block = aside ? std::min(t.m, kAsideRows) : t.m;
  T* v = aside ? products.get<T>(block * t.n) : nullptr;
  for (int64_t begin = 0; begin < t.m; begin += block) {
    const int64_t rows = std::min(block, t.m - begin);
    if (!aside) v = t.c + begin * t.n;
    product(t, begin, rows, v, threads, scratch);
    const int64_t grain = std::max<int64_t>(1, 8192 / t.n);
    parallel_for(threads, rows, grain, [&](int64_t first, int64_t last) {
      finish_rows(t, v + first * t.n, begin + first, last - first);
    });
  }
}

}  // namespace

void CpuOps::matmul(const MatmulArgs& args, Stream& stream) {
  check_matmul(args);
  detail::with_float(args.a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(), scratch = &scratch_, products = &products_,
             t = describe<T>(args)] {
      if (t.epilogue()) {
        run_with_epilogue(t, threads, *scratch, *products);
      } else {
        product(t, 0, t.m, t.c, threads, *scratch);
      }
    });
  });
}

}  // namespace weft
