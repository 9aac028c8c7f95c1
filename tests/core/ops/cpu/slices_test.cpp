#include "core/ops/cpu/slices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "core/backends/backends.h"
#include "core/ops/check_products.h"
#include "core/ops/cpu/cpu_ops.h"
#include "core/ops/cpu/dnnl_products.h"

namespace weft::detail {
namespace {

using testing::HasSubstr;

struct Size {
  int64_t m, n, k;
};
constexpr Size kSizes[] = {{1, 1, 1},      {1, 50257, 768},  {256, 768, 3072}, {3072, 384, 384},
                           {768, 65, 256}, {50257, 768, 64}, {17, 49, 2000},   {97, 1, 700}};

TEST(Slices, CoverTheProductOnce) {
  for (const Size& size : kSizes) {
    for (const int threads : {1, 2, 3, 7, 16, 96}) {
      const Slices slices(size.m, size.n, size.k, threads);
      ASSERT_LE(slices.count(), threads);
      int64_t elements = 0;
      for (int64_t i = 0; i < slices.count(); ++i) {
        const Slice s = slices.at(i);
        ASSERT_LE(0, s.m0);
        ASSERT_LE(s.m1, size.m);
        ASSERT_LE(0, s.n0);
        ASSERT_LE(s.n1, size.n);
        elements += s.rows() * s.columns();
        for (int64_t j = 0; j < i; ++j) {
          const Slice t = slices.at(j);
          ASSERT_TRUE(s.m1 <= t.m0 || t.m1 <= s.m0 || s.n1 <= t.n0 || t.n1 <= s.n0);
        }
      }
      EXPECT_EQ(elements, size.m * size.n) << size.m << "x" << size.n << ", " << threads;
    }
  }
}

// The shape that a cut by rows made a third slower than its sisters.
TEST(Slices, CutTheSideThatIsCheaper) {
  EXPECT_EQ(Slices(256, 768, 3072, 2).at(0), (Slice{0, 256, 0, 384}));
  EXPECT_EQ(Slices(3072, 384, 384, 2).at(0), (Slice{0, 1536, 0, 384}));
}

// What is left unwritten is noticed whatever the library says of it.
TEST(Slices, NoticeWhatIsNotWritten) {
  constexpr int64_t kM = 64, kN = 96;
  std::vector<float> out(kM * kN);
  const Slices slices(kM, kN, 1024, 2);
  ASSERT_EQ(slices.count(), 2);
  const auto run = [&](int64_t unwritten, int status) {
    for_each_slice(slices, 2, out.data(), kN, false, [&](int64_t i, const Slice& s) {
      if (i == unwritten) return status;
      for (int64_t m = s.m0; m < s.m1; ++m) {
        for (int64_t n = s.n0; n < s.n1; ++n) out[static_cast<size_t>(m * kN + n)] = 1;
      }
      return 0;
    });
  };
  run(-1, 0);
  EXPECT_THAT(out, testing::Each(1.0F));
  for (const int64_t slice : {0, 1}) {
    try {
      run(slice, 0);
      ADD_FAILURE() << "slice " << slice << " was not missed";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("unwritten"));
    }
    EXPECT_THROW(run(slice, 3), Error);
    try {
      run(slice, 1);
      ADD_FAILURE() << "no memory was not missed";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::environment);
    }
  }
}

// Computes with a team of one where the stream has four threads: inside of a parallel region OpenMP
// gives no more, as it does outside with OMP_THREAD_LIMIT and its like.
template <typename F>
void with_a_small_team(const F& f) {
#pragma omp parallel num_threads(2)
  {
#pragma omp single
    f();
  }
}

class SmallTeamTest : public testing::TestWithParam<std::tuple<DType, Bf16Products>> {};

TEST_P(SmallTeamTest, ComputesAllOfAProduct) {
  const auto [type, choice] = GetParam();
  if (choice == Bf16Products::native && !DnnlProducts::serves(type)) {
    GTEST_SKIP() << "oneDNN has no products of bf16 for this CPU";
  }
  const auto device = make_device({.threads = 4, .bf16_products = choice});
  const auto stream = device->make_stream(StreamKind::compute);
  const auto ops = make_ops(*device);
  EXPECT_NO_THROW(check_products(*device, *ops, *stream, type));
  std::exception_ptr problem;
  with_a_small_team([&] {
    try {
      check_products(*device, *ops, *stream, type);
    } catch (...) {
      problem = std::current_exception();
    }
  });
  EXPECT_NO_THROW(problem ? std::rethrow_exception(problem) : void());
}

INSTANTIATE_TEST_SUITE_P(Products, SmallTeamTest,
                         testing::Values(std::tuple(DType::f32, Bf16Products::converted),
                                         std::tuple(DType::bf16, Bf16Products::converted),
                                         std::tuple(DType::bf16, Bf16Products::native),
                                         std::tuple(DType::f16, Bf16Products::converted)),
                         [](const auto& test) {
                           return std::string(name(std::get<0>(test.param))) +
                                  (std::get<1>(test.param) == Bf16Products::native ? "_native"
                                                                                   : "");
                         });

}  // namespace
}  // namespace weft::detail
