// Working memory by rule: what a GPU is planned to need, and that CPU ranks need what they said.
#include "core/ops/working_memory.h"

#include <gtest/gtest.h>

#include "core/backends/backends.h"
#include "core/ops/cuda/working_memory.h"
#include "tests/core/ops/op_case.h"

namespace weft {
namespace {

constexpr int64_t kTokens = 1024;

Tensor none(const Shape& shape, DType dtype) { return Tensor(nullptr, shape, dtype); }

struct Attention {
  int64_t batch, heads, dim;
  DType dtype = DType::bf16;
  AttentionSpec spec() const {
    return {.heads = heads,
            .kv_heads = heads,
            .head_dim = dim,
            .scale = 0.125,
            .queries = TokenShare::whole(kTokens),
            .keys = TokenShare::whole(kTokens)};
  }
  Tensor qkv() const { return none({batch, kTokens, 3 * heads * dim}, dtype); }
};

size_t backward(const Attention& a, bool deterministic = true) {
  return make_working_memory({.kind = DeviceKind::cuda, .deterministic = deterministic})
      ->bytes(op::AttentionBackward{.spec = a.spec(), .qkv = a.qkv(), .kv = a.qkv()});
}

TEST(CudaWorkingMemory, HoldsAMatrixPerHeadWhileThatIsLittle) {
  EXPECT_EQ(backward({4, 25, 64}), size_t{4 * 25} * kTokens * (2 * kTokens + 8));
  // 64 of those are 3.1 GiB: kernels of our own keep one number per query instead.
  EXPECT_EQ(backward({64, 25, 64}), size_t{64 * 25} * kTokens * 4);
  EXPECT_EQ(backward({4, 25, 64, DType::f32}), size_t{4 * 25} * kTokens * 4);
  EXPECT_EQ(backward({4, 25, 60}), size_t{4 * 25} * kTokens * 4);
  EXPECT_EQ(backward({4, 25, 64}, false), size_t{4 * 25} * kTokens * (4 * 64 + 8));
}

TEST(CudaWorkingMemory, HoldsWhatAnEpilogueOfOurOwnWaitsFor) {
  const auto needs = make_working_memory({.kind = DeviceKind::cuda});
  op::Matmul args{.a = none({4096, 768}, DType::bf16),
                  .b = none({3072, 768}, DType::bf16),
                  .c = none({4096, 3072}, DType::bf16),
                  .transpose_b = true,
                  .bias = none({3072}, DType::bf16),
                  .activation = Activation::gelu_tanh,
                  .pre_activation = none({4096, 3072}, DType::bf16)};
  EXPECT_EQ(needs->bytes(args), 0u);  // cuBLASLt does all of it
  args.activation = Activation::gelu;
  EXPECT_EQ(needs->bytes(args), size_t{4096} * 3072 * 4);
  op::Matmul gradient{.a = none({4096, 3072}, DType::bf16),
                      .b = none({4096, 768}, DType::bf16),
                      .c = none({3072, 768}, DType::f32),
                      .transpose_a = true,
                      .accumulate = true,
                      .bias_gradient = none({3072}, DType::f32)};
  EXPECT_EQ(needs->bytes(gradient), size_t{4096 / 16} * 3072 * 4);
  EXPECT_EQ(needs->always(), size_t{32} << 20);
}

// Every row of the case table, forward and backward, after room was made for what counting ops said
// of it: nothing grows.
TEST(CpuWorkingMemory, SufficesForEveryCall) {
  const auto device = make_device({.threads = 2});
  const auto stream = device->make_stream(StreamKind::compute);
  for (const cases::OpCase& c : cases::all_cases()) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      if (c.perf || (c.f32_only && dtype != DType::f32)) continue;
      SCOPED_TRACE(fmt::format("{} in {}", c.name, name(dtype)));
      const auto ops = make_ops(*device);
      const auto counting = make_counting_ops(ops->working_memory());
      const cases::Values values = cases::make_inputs(c, 1);
      for (Ops* each : {counting.get(), ops.get()}) {
        cases::Run run = make_run(c, *each, *device, *stream, dtype, values, true);
        c.forward(run);
        if (c.backward) c.backward(run);
        stream->synchronize();
        if (each == counting.get()) ops->reserve(counting->reserved());
      }
      EXPECT_EQ(ops->reserved(), counting->reserved());
    }
  }
}

}  // namespace
}  // namespace weft
