// Generation on a GPU beside the CPU's.
#include "core/model/generator.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/backends/backends.h"

namespace weft {
namespace {

struct Machine {
  std::unique_ptr<Device> device;
  std::unique_ptr<Stream> stream;
  std::unique_ptr<Ops> ops;

  explicit Machine(DeviceKind kind)
      : device(make_device({.kind = kind, .threads = 2})),
        stream(device->make_stream(StreamKind::compute)),
        ops(make_ops(*device)) {}
};

GptConfig small_model() {
  GptConfig c;
  c.vocab_size = 31;
  c.context_length = 12;
  c.layers = 3;
  c.heads = 2;
  c.width = 16;
  c.init_std = 0.4;  // far from uniform, so that rounding decides no token
  return c;
}

class GpuGeneratorTest : public testing::Test {
 protected:
  void SetUp() override {
    if (cuda_report().devices.empty()) GTEST_SKIP() << "no GPU: " << cuda_report().problem;
    gpu_ = std::make_unique<Machine>(DeviceKind::cuda);
    cpu_ = std::make_unique<Machine>(DeviceKind::cpu);
  }

  static std::vector<int32_t> generate(Machine& machine, const GptConfig& config, DType dtype,
                                       const GenerationOptions& options) {
    Generator generator(config, dtype, *machine.device, *machine.stream, *machine.ops);
    generator.parameters().initialize(9, *machine.device, *machine.stream);
    std::vector<int32_t> out;
    const std::vector<int32_t> prompt{1, 2, 3};
    generator.generate(prompt, options, [&](int32_t id) { out.push_back(id); });
    return out;
  }

  std::unique_ptr<Machine> gpu_, cpu_;
};

// 40 tokens run over the context of 12 several times.
TEST_F(GpuGeneratorTest, SaysWhatTheCpuSaysInF32) {
  for (const GptConfig::Position position :
       {GptConfig::Position::learned, GptConfig::Position::sinusoidal}) {
    GptConfig config = small_model();
    config.position = position;
    for (const double temperature : {0.0, 1.0}) {
      for (const bool use_cache : {true, false}) {
        const GenerationOptions options{.sampling = {.temperature = temperature, .seed = 4},
                                        .max_tokens = 40,
                                        .stop = {},
                                        .use_cache = use_cache};
        const std::vector<int32_t> want = generate(*cpu_, config, DType::f32, options);
        ASSERT_EQ(want.size(), 40u);
        EXPECT_EQ(generate(*gpu_, config, DType::f32, options), want);
      }
    }
  }
}

// The likeliest token of this model is far ahead of the others.
TEST_F(GpuGeneratorTest, SixteenBitTypesBeginAsF32Does) {
  const GenerationOptions options{.sampling = {.temperature = 0}, .max_tokens = 1};
  const std::vector<int32_t> want = generate(*cpu_, small_model(), DType::f32, options);
  for (const DType dtype : {DType::bf16, DType::f16}) {
    EXPECT_EQ(generate(*gpu_, small_model(), dtype, options), want) << name(dtype);
  }
}

}  // namespace
}  // namespace weft
