// Matrix products: the BLAS of oneDNN in f32, our own in f64, and the epilogue in one pass over the
// result. Products of 16-bit types are products of f32 copies of their operands, which hold the
// same values, or native ones of oneDNN where the rank has such: either way every sum is formed in
// f32, and what is stored is rounded in the epilogue's pass.
#include <dnnl.h>

#include <type_traits>

#include "core/device/cpu/parallel_for.h"
#include "core/kernels/activation.h"
#include "core/ops/cpu/column_sums.h"
#include "core/ops/cpu/cpu_ops.h"
#include "core/ops/cpu/dnnl_products.h"
#include "core/ops/cpu/gemm.h"
#include "core/ops/cpu/slices.h"

namespace weft {
namespace {

using detail::DnnlProducts;
using detail::ProductShape;
using detail::Slice;
using detail::Slices;
using kernels::HostTeam;

struct Sizes {
  int64_t m, n, k;
  int64_t a_width, c_width;  // of rows in memory
  bool transpose_a, transpose_b, accumulate;

  // Where the part of a begins that makes row `row` of the product.
  int64_t a_at(int64_t row) const { return transpose_a ? row : row * a_width; }
};

Sizes sizes_of(const op::Matmul& args) {
  return {.m = args.m(),
          .n = args.n(),
          .k = args.k(),
          .a_width = args.a.shape().back(),
          .c_width = args.c.shape().back(),
          .transpose_a = args.transpose_a,
          .transpose_b = args.transpose_b,
          .accumulate = args.accumulate};
}

// A matmul as plain pointers, c being of S; bias, pre and input may be null.
template <typename S>
struct MatmulTask : Sizes {
  const S *a, *b;
  S* c;
  const S* bias;
  S* pre;
  const S* input;
  Activation activation, gradient;

  bool epilogue() const {
    return bias != nullptr || pre != nullptr || activation != Activation::none ||
           gradient != Activation::none;
  }
};

// A c of another type than S is left out.
template <typename S>
MatmulTask<S> describe(const op::Matmul& args) {
  MatmulTask<S> t{sizes_of(args)};
  t.a = args.a.data<S>();
  t.b = args.b.data<S>();
  if (args.c.dtype() == args.a.dtype()) t.c = args.c.data<S>();
  t.bias = detail::optional_data<S>(args.bias);
  t.pre = detail::optional_data<S>(args.pre_activation);
  t.activation = args.activation;
  t.gradient = args.activation_gradient;
  if (t.gradient != Activation::none) t.input = args.activation_input.data<S>();
  return t;
}

// out [rows, n], whose rows lie `width` apart, (+)= rows [begin, begin + rows) of op(a) times
// op(b).
void product(const MatmulTask<float>& t, int64_t begin, int64_t rows, float* out, int64_t width,
             int threads, Scratch*) {
  const int64_t b_width = t.transpose_b ? t.k : t.n;
  const auto multiply = [&](int64_t, const Slice& s) -> int {
    use_one_thread();
    return dnnl_sgemm(t.transpose_a ? 'T' : 'N', t.transpose_b ? 'T' : 'N', s.rows(), s.columns(),
                      t.k, 1.0f, t.a + t.a_at(begin + s.m0), t.a_width,
                      t.b + (t.transpose_b ? s.n0 * b_width : s.n0), b_width,
                      t.accumulate ? 1.0f : 0.0f, out + s.m0 * width + s.n0, width);
  };
  for_each_slice(Slices(rows, t.n, t.k, threads), threads, out, width, t.accumulate, multiply);
}
void product(const MatmulTask<double>& t, int64_t begin, int64_t rows, double* out, int64_t width,
             int threads, Scratch* packing) {
  detail::GemmTask<double> g{};
  g.m = rows;
  g.n = t.n;
  g.k = t.k;
  g.a = t.a + t.a_at(begin);
  g.a_row = t.transpose_a ? 1 : t.a_width;
  g.a_column = t.transpose_a ? t.a_width : 1;
  g.b = t.b;
  g.b_row = t.transpose_b ? 1 : t.n;
  g.b_column = t.transpose_b ? t.k : 1;
  g.c = out;
  g.c_row = width;
  g.accumulate = t.accumulate;
  detail::gemm(g, threads, *packing);
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

// The end of the epilogue, for elements [at, at + n) of c: v is what they are, or are to grow by.
template <typename S, typename T>
void store_products(const MatmulTask<S>& t, int64_t n, const T* v, int64_t at) {
  S* c = t.c + at;
  if (t.gradient != Activation::none) {
    with_activation<T>(t.gradient, [&](auto act) {
      kernels::activation_gradient_row<decltype(act)>(HostTeam(), n, v, t.input + at, c);
    });
  } else if (t.accumulate) {
    HostTeam().for_each(
        n, [=](int64_t i) WEFT_LANE { c[i] = kernels::store<S>(kernels::load(c[i]) + v[i]); });
  } else if (static_cast<const void*>(v) != static_cast<const void*>(c)) {
    HostTeam().for_each(n, [=](int64_t i) WEFT_LANE { c[i] = kernels::store<S>(v[i]); });
  }
}

// Finishes `rows` rows of c from row `begin` on, whose products are in v (c's own rows, or other
// memory). Columns go in pieces that stay in the first-level cache through the passes of one row.
template <typename S, typename T>
void finish_rows(const MatmulTask<S>& t, T* v, int64_t begin, int64_t rows) {
  constexpr int64_t kPiece = 1024;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < t.n; j += kPiece) {
      const int64_t at = (begin + r) * t.c_width + j;
      const int64_t count = std::min(kPiece, t.n - j);
      T* piece = v + r * t.n + j;
      with_activation<T>(t.activation, [&](auto act) {
        kernels::activate_row<decltype(act)>(HostTeam(), count,
                                             t.bias == nullptr ? nullptr : t.bias + j,
                                             t.pre == nullptr ? nullptr : t.pre + at, piece);
      });
      store_products(t, count, piece, at);
    }
  }
}

constexpr int64_t kAsideRows = 1024;  // of products that do not go straight into c

ProductShape native_shape(const Sizes& s, int64_t rows, int64_t out_stride, bool accumulate) {
  return {.m = rows,
          .n = s.n,
          .k = s.k,
          .a_stride = s.a_width,
          .out_stride = out_stride,
          .transpose_a = s.transpose_a,
          .transpose_b = s.transpose_b,
          .accumulate = accumulate};
}

// What native products want: of all rows at once, or of blocks of which the last may be smaller.
size_t scratchpad_of(const Sizes& s, bool aside, int threads, DnnlProducts& native) {
  const auto bytes = [&](int64_t rows, int64_t out_stride, bool accumulate) {
    return native.scratchpad_bytes(native_shape(s, rows, out_stride, accumulate), threads);
  };
  if (!aside) return bytes(s.m, s.c_width, s.accumulate);
  const int64_t last = s.m % kAsideRows;
  return std::max(s.m < kAsideRows ? 0 : bytes(kAsideRows, s.n, false),
                  last == 0 ? 0 : bytes(last, s.n, false));
}

// Parts of the working memory of one matmul, in bytes, each a multiple of kWorkingMemoryUnit.
struct Parts {
  size_t products = 0;    // rows of v, or the partial sums of a bias gradient
  size_t a = 0, b = 0;    // operands of a 16-bit type, in f32
  size_t scratchpad = 0;  // of native products
  size_t total() const { return products + a + b + scratchpad; }
};

bool has_epilogue(const op::Matmul& args) {
  return !args.bias.empty() || !args.pre_activation.empty() ||
         args.activation != Activation::none || args.activation_gradient != Activation::none;
}

// `native` serves these operands or is null.
Parts parts_of(const op::Matmul& args, int threads, DnnlProducts* native) {
  const Sizes s = sizes_of(args);
  const DType sums = accumulator(args.a.dtype());
  const bool narrow = sums != args.a.dtype();
  const auto bytes = [&](int64_t elements) {
    return in_working_memory_units(static_cast<size_t>(elements) * size_of(sums));
  };
  // A planner's tensors do not say whether the activation's input is c.
  const bool may_be_in_place = args.activation_gradient != Activation::none;
  const bool aside = native == nullptr ? may_be_in_place || (narrow && args.c.dtype() != sums)
                                       : has_epilogue(args) || args.c.dtype() != sums;
  Parts parts;
  if (aside) parts.products = bytes(std::min(s.m, kAsideRows) * s.n);
  if (!args.bias_gradient.empty()) parts.products = bytes(detail::partial_sums(s.k, s.m));
  if (native != nullptr) {
    parts.scratchpad = in_working_memory_units(scratchpad_of(s, aside, threads, *native));
  } else if (narrow) {
    parts.a = bytes(args.a.elements());
    parts.b = bytes(s.k * s.n);
  }
  return parts;
}

// The working memory of products, cut into its parts.
struct Space {
  char *products, *a, *b, *scratchpad;
  Scratch* packing;

  Space(const Parts& parts, Scratch& scratch, Scratch* packing_of_f64) : packing(packing_of_f64) {
    products = scratch.get<char>(static_cast<int64_t>(parts.total()));
    a = products + parts.products;
    b = a + parts.a;
    scratchpad = b + parts.b;
  }
};

// The products that multiply(begin, rows, out) makes, then one pass over the c of `t`. The product
// is not cut into blocks of rows that would still be in cache for the pass: each call of the BLAS
// packs all of b again, which costs more than reading c once more. Only where products cannot go
// straight into c, `straight` being null, do they go aside, block by block.
template <typename S, typename T, typename Multiply>
void run_with_epilogue(const MatmulTask<S>& t, T* straight, int threads, const Space& space,
                       const Multiply& multiply) {
  const int64_t block = straight == nullptr ? std::min(t.m, kAsideRows) : t.m;
  T* v = straight == nullptr ? reinterpret_cast<T*>(space.products) : straight;
  for (int64_t begin = 0; begin < t.m; begin += block) {
    const int64_t rows = std::min(block, t.m - begin);
    multiply(begin, rows, v);
    const int64_t grain = std::max<int64_t>(1, 8192 / t.n);
    parallel_for(threads, rows, grain, [&](int64_t first, int64_t last) {
      finish_rows(t, v + first * t.n, begin + first, last - first);
    });
  }
}

// c of T.
template <typename T>
void multiply(const MatmulTask<T>& t, int threads, const Space& space) {
  if (t.epilogue()) {
    T* straight = t.input == t.c ? nullptr : t.c;
    run_with_epilogue(t, straight, threads, space, [&](int64_t begin, int64_t rows, T* out) {
      product(t, begin, rows, out, t.n, threads, space.packing);
    });
  } else {
    product(t, 0, t.m, t.c, t.c_width, threads, space.packing);
  }
}

template <typename S>
const float* in_f32(const S* from, int64_t n, int threads, char* memory) {
  float* to = reinterpret_cast<float*>(memory);
  parallel_for(threads, n, 16384, [=](int64_t begin, int64_t end) {
    HostTeam().for_each(end - begin, [src = from + begin, dst = to + begin](int64_t i)
                                         WEFT_LANE { dst[i] = kernels::load(src[i]); });
  });
  return to;
}

// A task of a 16-bit type, with c of it or, where `sums` is given, of f32.
template <typename S>
void run_converted(const MatmulTask<S>& t, float* sums, int threads, const Space& space) {
  MatmulTask<float> p{static_cast<const Sizes&>(t)};
  p.a = in_f32(t.a, (t.transpose_a ? t.k : t.m) * t.a_width, threads, space.a);
  p.b = in_f32(t.b, t.k * t.n, threads, space.b);
  if (sums != nullptr) {
    product(p, 0, p.m, sums, p.c_width, threads, space.packing);
    return;
  }
  p.accumulate = false;  // the pass adds
  run_with_epilogue(t, sums, threads, space, [&](int64_t begin, int64_t rows, float* out) {
    product(p, begin, rows, out, p.n, threads, space.packing);
  });
}

// A task of the type that `native` serves, likewise.
template <typename S>
void run_native(const MatmulTask<S>& t, float* sums, DnnlProducts& native, int threads,
                const Space& space) {
  const auto multiply = [&](int64_t begin, const ProductShape& shape, float* out) {
    native.run(shape, t.a + t.a_at(begin), t.b, out, threads, space.scratchpad);
  };
  if (sums != nullptr) {
    multiply(0, native_shape(t, t.m, t.c_width, t.accumulate), sums);
    return;
  }
  run_with_epilogue(t, sums, threads, space, [&](int64_t begin, int64_t rows, float* out) {
    multiply(begin, native_shape(t, rows, t.n, false), out);
  });
}

}  // namespace

size_t detail::matmul_bytes(const op::Matmul& args, int threads, DnnlProducts* native) {
  expect_one_type(args, "a CPU");
  const bool serves = native != nullptr && native->operands() == args.a.dtype();
  return parts_of(args, threads, serves ? native : nullptr).total();
}

void CpuOps::run(const op::Matmul& args, Stream& stream) {
  expect_one_type(args, "a CPU");
  const bool serves = native_ != nullptr && native_->operands() == args.a.dtype();
  DnnlProducts* native = serves ? native_.get() : nullptr;
  detail::with_float(args.a.dtype(), [&](auto zero) {
    using S = decltype(zero);
    using T = kernels::Arithmetic<S>;
    CpuStream& cpu = cpu_stream(stream);
    const int threads = cpu.threads();
    const Space space(parts_of(args, threads, native), scratch_, &packing_);
    const MatmulTask<S> t = describe<S>(args);
    const bool direct = args.c.dtype() == DType::f32 && !t.epilogue();
    if (native != nullptr) {
      cpu.run([threads, space, t, native, sums = direct ? args.c.data<float>() : nullptr] {
        run_native(t, sums, *native, threads, space);
      });
    } else if constexpr (std::is_same_v<S, T>) {
      cpu.run([threads, space, t] { multiply(t, threads, space); });
    } else {
      cpu.run([threads, space, t, sums = direct ? args.c.data<float>() : nullptr] {
        run_converted(t, sums, threads, space);
      });
    }
    if (args.bias_gradient.empty()) return;
    cpu.run([threads, space, t, to = args.bias_gradient.data<T>()] {
      detail::add_column_sums(threads, t.k, t.m, t.a, reinterpret_cast<T*>(space.products), to);
    });
  });
}

}  // namespace weft
