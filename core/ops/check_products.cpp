#include "core/ops/check_products.h"

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "core/base/error.h"
#include "core/tensor/arena.h"

namespace weft {
namespace {

struct Form {
  const char* name;
  bool transpose_a, transpose_b, accumulate;
};
constexpr Form kForms[] = {{"x w^T", false, true, false},
                           {"dy w", false, false, false},
                           {"dy^T x", true, false, false},
                           {"dy^T x added", true, false, true}};

struct Size {
  int64_t m, n;
};

// The first gives every thread a part, none of them even. Of the others the last thread gets one
// row or one column of a wider matrix, a vector whose elements may lie apart; a single thread gets
// one row or one column in all, as of one token.
std::array<Size, 3> sizes_for(int threads) {
  return {{{16 * threads + 3, 48 * threads + 5},
           {16 * (threads - 1) + 1, 48},
           {16, 48 * (threads - 1) + 1}}};
}

constexpr int64_t kDepth = 48;
constexpr float kBefore = 3;  // what a product is added to

// Small whole numbers: their products and sums are exact in every type.
float a_value(int64_t row, int64_t k) { return static_cast<float>((3 * row + 5 * k) % 7 - 3); }
float b_value(int64_t k, int64_t column) {
  return static_cast<float>((5 * column + 2 * k) % 5 - 2);
}

float product_value(int64_t row, int64_t column) {
  float sum = 0;
  for (int64_t k = 0; k < kDepth; ++k) sum += a_value(row, k) * b_value(k, column);
  return sum;
}

class ProductCheck {
 public:
  ProductCheck(Device& device, Ops& ops, Stream& stream, DType type, const Size& size)
      : device_(device),
        ops_(ops),
        stream_(stream),
        type_(type),
        m_(size.m),
        n_(size.n),
        arena_("product check", device,
               2 * static_cast<size_t>((m_ + n_) * kDepth + m_ * n_) * sizeof(float) + (1 << 12)) {}

  void run(const Form& form) {
    op::Matmul args;
    args.transpose_a = form.transpose_a;
    args.transpose_b = form.transpose_b;
    args.accumulate = form.accumulate;
    args.a = tensor(m_, kDepth, form.transpose_a, type_, a_value);
    args.b = tensor(kDepth, n_, form.transpose_b, type_, b_value);
    const float before = form.accumulate ? kBefore : std::numeric_limits<float>::quiet_NaN();
    args.c = tensor(m_, n_, false, DType::f32, [&](int64_t, int64_t) { return before; });
    ops_(args, stream_);
    std::vector<float> got(static_cast<size_t>(m_ * n_));
    device_.copy_to_host(got.data(), args.c.raw(), args.c.bytes(), stream_);
    stream_.synchronize();
    compare(form, got);
    arena_.release(0);
  }

 private:
  template <typename Value>
  Tensor tensor(int64_t rows, int64_t columns, bool transposed, DType type, const Value& value) {
    const Shape shape = transposed ? Shape{columns, rows} : Shape{rows, columns};
    std::vector<float> values(static_cast<size_t>(rows * columns));
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        values[static_cast<size_t>(transposed ? j * rows + i : i * columns + j)] = value(i, j);
      }
    }
    const Tensor f32 = arena_.allocate(shape, DType::f32);
    device_.copy_to_device(f32.raw(), values.data(), f32.bytes(), stream_);
    stream_.synchronize();
    if (type == DType::f32) return f32;
    const Tensor narrow = arena_.allocate(shape, type);
    ops_(op::Copy{.from = f32, .to = narrow}, stream_);
    return narrow;
  }

  void compare(const Form& form, const std::vector<float>& got) const {
    for (int64_t i = 0; i < m_; ++i) {
      for (int64_t j = 0; j < n_; ++j) {
        const float want = product_value(i, j) + (form.accumulate ? kBefore : 0);
        const float is = got[static_cast<size_t>(i * n_ + j)];
        if (is == want) continue;
        fail(ErrorKind::environment,
             "matrix products of {} are wrong on this machine: element {},{} of a {}x{}x{} {} in "
             "{} threads {}, it should be {}; weft doctor names the library",
             name(type_), i, j, m_, n_, kDepth, form.name, device_.threads(),
             std::isnan(is) ? "was not written" : fmt::format("is {}", is), want);
      }
    }
  }

  Device& device_;
  Ops& ops_;
  Stream& stream_;
  DType type_;
  int64_t m_, n_;
  Arena arena_;
};

}  // namespace

void check_products(Device& device, Ops& ops, Stream& stream, DType type) {
  for (const Size& size : sizes_for(device.threads())) {
    ProductCheck check(device, ops, stream, type, size);
    for (const Form& form : kForms) check.run(form);
  }
}

}  // namespace weft
