// What operations refuse before anything runs, in whichever Ops: shapes and types that do not fit,
// and what their backend does not have.
#include <gtest/gtest.h>

#include "core/backends/backends.h"
#include "core/base/error.h"
#include "core/ops/ops.h"

namespace weft {
namespace {

Tensor none(const Shape& shape, DType dtype = DType::f32) { return Tensor(nullptr, shape, dtype); }

class RefusalTest : public testing::Test {
 protected:
  // What the CPU says of a call, which is what a plan for it says.
  template <typename Op>
  std::string refusal(const Op& op) {
    const std::string planned = message(*counting_, op);
    EXPECT_EQ(message(*ops_, op), planned);
    return planned;
  }

  std::unique_ptr<Device> device_ = make_device({.threads = 1});
  std::unique_ptr<Stream> stream_ = device_->make_stream(StreamKind::compute);
  std::unique_ptr<Ops> ops_ = make_ops(*device_);
  std::unique_ptr<Ops> counting_ = make_counting_ops(ops_->working_memory());

 private:
  template <typename Op>
  std::string message(Ops& ops, const Op& op) {
    try {
      ops(op, *stream_);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::internal);
      const std::string text = error.what();
      const size_t begin = text.find(std::string(Op::kName.text) + ": ");
      return text.substr(begin, text.find(" (check") - begin);
    }
    return "";
  }
};

TEST_F(RefusalTest, ShapesThatDoNotFit) {
  EXPECT_EQ(refusal(op::Matmul{.a = none({2, 3}), .b = none({4, 5}), .c = none({2, 5})}),
            "matmul: f32[2, 3] by f32[4, 5] gives no f32[2, 5]");
  EXPECT_EQ(refusal(op::RescaleSums{.sum = none({3}), .from = none({3})}),
            "rescale_sums: to is f32[] where 3 elements of f32 are needed");
}

TEST_F(RefusalTest, ProductsOfTypesThatNoBackendMultiplies) {
  const auto product = [](DType a, DType b, DType c) {
    return op::Matmul{.a = none({2, 3}, a), .b = none({3, 4}, b), .c = none({2, 4}, c)};
  };
  EXPECT_EQ(
      refusal(product(DType::bf16, DType::f16, DType::bf16)),
      "matmul: a CPU has no product of bf16 and f16 to bf16, only of one type to itself or to "
      "f32");
  EXPECT_EQ(
      refusal(product(DType::bf16, DType::bf16, DType::f16)),
      "matmul: a CPU has no product of bf16 and bf16 to f16, only of one type to itself or to "
      "f32");
  op::Matmul scaled = product(DType::f32, DType::f32, DType::f32);
  scaled.b_scale = none({1});
  EXPECT_EQ(refusal(scaled), "matmul: a CPU has no products of scaled operands, here f32 and f32");
}

}  // namespace
}  // namespace weft
