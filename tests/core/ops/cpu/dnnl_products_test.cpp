#include "core/ops/cpu/dnnl_products.h"

#include <gtest/gtest.h>

#include <cmath>
#include <ostream>
#include <vector>

#include "core/base/error.h"
#include "core/base/philox.h"
#include "core/kernels/storage.h"

namespace weft::detail {
namespace {

struct Case {
  int64_t m, n, k;
};

// Of training, of one token, and none that a vector or a tile divides.
constexpr Case kCases[] = {{64, 96, 32}, {1, 257, 48}, {37, 1, 65}, {33, 31, 1}, {130, 70, 515}};

// Numbers in [-1, 1) that bf16 holds.
std::vector<float> draw(int64_t count, uint32_t stream) {
  std::vector<float> values(static_cast<size_t>(count));
  const RandomKey key{.seed = 5, .stream = stream, .step = 0};
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(random_word(key, i) % 256) / 128.0F - 1.0F;
  }
  return values;
}

std::vector<Bf16> to_bf16(const std::vector<float>& values) {
  std::vector<Bf16> narrow(values.size());
  for (size_t i = 0; i < values.size(); ++i) narrow[i] = kernels::store<Bf16>(values[i]);
  return narrow;
}

class DnnlProductsTest : public testing::TestWithParam<DType> {
 protected:
  void SetUp() override {
    if (!DnnlProducts::serves(GetParam())) {
      GTEST_SKIP() << "oneDNN has no products of " << name(GetParam()) << " for this CPU";
    }
    products_ = std::make_unique<DnnlProducts>(GetParam());
  }

  std::vector<float> multiply(const ProductShape& s, const std::vector<float>& a, int64_t skip,
                              const std::vector<float>& b, std::vector<float> out, int threads) {
    const size_t bytes = products_->scratchpad_bytes(s, threads);
    void* scratchpad = std::aligned_alloc(64, (bytes + 64) / 64 * 64);
    if (GetParam() == DType::f32) {
      products_->run(s, a.data() + skip, b.data(), out.data(), threads, scratchpad);
    } else {
      const std::vector<Bf16> na = to_bf16(a);
      const std::vector<Bf16> nb = to_bf16(b);
      products_->run(s, na.data() + skip, nb.data(), out.data(), threads, scratchpad);
    }
    std::free(scratchpad);
    return out;
  }

  // Each element within what k roundings to f32 in any order can make of the exact sum.
  void check(const ProductShape& s, int64_t skip, const std::vector<float>& a,
             const std::vector<float>& b, const std::vector<float>& before,
             const std::vector<float>& got) const {
    for (int64_t i = 0; i < s.m; ++i) {
      for (int64_t j = s.n; j < s.out_stride; ++j) {
        const auto at = static_cast<size_t>(i * s.out_stride + j);
        ASSERT_EQ(got[at], before[at]) << "beside row " << i;
      }
      for (int64_t j = 0; j < s.n; ++j) {
        const auto at = static_cast<size_t>(i * s.out_stride + j);
        double want = s.accumulate ? static_cast<double>(before[at]) : 0.0;
        double size = std::fabs(want);
        for (int64_t c = 0; c < s.k; ++c) {
          const int64_t from = skip + (s.transpose_a ? c * s.a_stride + i : i * s.a_stride + c);
          const int64_t with = s.transpose_b ? j * s.k + c : c * s.n + j;
          const double term = static_cast<double>(a[static_cast<size_t>(from)]) *
                              static_cast<double>(b[static_cast<size_t>(with)]);
          want += term;
          size += std::fabs(term);
        }
        const double unit = 0x1p-24 * static_cast<double>(s.k + 1);
        ASSERT_LE(std::fabs(static_cast<double>(got[at]) - want), unit / (1 - unit) * size)
            << "row " << i << ", column " << j;
      }
    }
  }

  std::unique_ptr<DnnlProducts> products_;
};

// Every way of lying in memory, whole and as a block of rows of a larger a.
TEST_P(DnnlProductsTest, AreSumsInF32) {
  constexpr int64_t kRowsBefore = 3, kRowsAfter = 2, kSpareColumns = 5;
  for (const Case& c : kCases) {
    for (int form = 0; form < 16; ++form) {
      const bool transpose_a = (form & 1) != 0;
      const bool block = (form & 8) != 0;
      const int64_t rows = c.m + (block ? kRowsBefore + kRowsAfter : 0);
      const ProductShape s{.m = c.m,
                           .n = c.n,
                           .k = c.k,
                           .a_stride = transpose_a ? rows : c.k,
                           .out_stride = c.n + (block ? kSpareColumns : 0),
                           .transpose_a = transpose_a,
                           .transpose_b = (form & 2) != 0,
                           .accumulate = (form & 4) != 0};
      SCOPED_TRACE(testing::Message() << c.m << "x" << c.n << "x" << c.k << " form " << form);
      const int64_t skip = !block ? 0 : kRowsBefore * (transpose_a ? 1 : c.k);
      const std::vector<float> a = draw(rows * c.k, 1);
      const std::vector<float> b = draw(c.k * c.n, 2);
      const std::vector<float> out = draw(c.m * s.out_stride, 3);
      for (const int threads : {1, 2}) {
        check(s, skip, a, b, out, multiply(s, a, skip, b, out, threads));
      }
    }
  }
}

// Vectors, however they lie: whole, as a row or column of a wider a, into a column of a wider out,
// and as what is left of a matrix for the last thread (17 rows or 97 columns).
TEST_P(DnnlProductsTest, AreSumsOfVectorsThatLieScattered) {
  constexpr int64_t kSpare = 5;
  std::vector<Case> cases;
  for (const int64_t m : {1, 2, 17}) {
    for (const int64_t n : {1, 2, 49, 97}) {
      for (const int64_t k : {1, 2, 65}) cases.push_back({m, n, k});
    }
  }
  cases.push_back({17, 48, 512});  // large enough for slices, of 16 rows and of 1
  cases.push_back({8, 97, 512});   // of 48 columns twice and of 1
  for (const Case& c : cases) {
    for (int form = 0; form < 32; ++form) {
      const bool transpose_a = (form & 1) != 0;
      const int64_t a_spare = (form & 8) != 0 ? kSpare : 0;
      const ProductShape s{.m = c.m,
                           .n = c.n,
                           .k = c.k,
                           .a_stride = (transpose_a ? c.m : c.k) + a_spare,
                           .out_stride = c.n + ((form & 16) != 0 ? kSpare : 0),
                           .transpose_a = transpose_a,
                           .transpose_b = (form & 2) != 0,
                           .accumulate = (form & 4) != 0};
      SCOPED_TRACE(testing::Message() << c.m << "x" << c.n << "x" << c.k << " form " << form);
      const std::vector<float> a = draw((transpose_a ? c.k : c.m) * s.a_stride, 1);
      const std::vector<float> b = draw(c.k * c.n, 2);
      const std::vector<float> out = draw(c.m * s.out_stride, 3);
      for (const int threads : {1, 3}) {
        check(s, 0, a, b, out, multiply(s, a, 0, b, out, threads));
      }
    }
  }
}

// The primitive of a shape is made once; later calls bring other memory.
TEST_P(DnnlProductsTest, GiveTheSameBitsAgain) {
  const ProductShape s{.m = 130, .n = 70, .k = 515, .a_stride = 515, .out_stride = 70};
  const std::vector<float> a = draw(s.m * s.k, 1);
  const std::vector<float> b = draw(s.k * s.n, 2);
  const std::vector<float> out(static_cast<size_t>(s.m * s.n), 0.0F);
  const std::vector<float> first = multiply(s, a, 0, b, out, 2);
  multiply({.m = 4, .n = 4, .k = 4, .a_stride = 4, .out_stride = 4}, a, 0, b,
           std::vector<float>(16), 2);
  EXPECT_EQ(multiply(s, a, 0, b, out, 2), first);
  EXPECT_EQ(products_->kept(), 2u);
  EXPECT_NE(multiply(s, b, 0, a, out, 2), first);
}

INSTANTIATE_TEST_SUITE_P(Operands, DnnlProductsTest, testing::Values(DType::f32, DType::bf16),
                         [](const auto& test) { return std::string(name(test.param)); });

TEST(DnnlProducts, AreRefusedWhereTheCpuHasNone) {
  if (DnnlProducts::serves(DType::bf16)) GTEST_SKIP() << "this CPU has products of bf16";
  EXPECT_FALSE(DnnlProducts::bf16_is_faster());
  try {
    const DnnlProducts products(DType::bf16);
    FAIL() << "made";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::environment);
  }
}

}  // namespace
}  // namespace weft::detail
