#include "core/model/generator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/backends/backends.h"
#include "core/base/error.h"

namespace weft {
namespace {

class GeneratorTest : public testing::Test {
 protected:
  GeneratorTest()
      : device_(make_device({.threads = 1})),
        stream_(device_->make_stream(StreamKind::compute)),
        ops_(make_ops(*device_)),
        generator_(config(), DType::f32, *device_, *stream_, *ops_) {
    generator_.parameters().initialize(9, *device_, *stream_);
  }

  static GptConfig config() {
    GptConfig c;
    c.vocab_size = 31;
    c.context_length = 12;
    c.layers = 3;
    c.heads = 2;
    c.width = 16;
    c.init_std = 0.4;  // far from uniform, so that tokens differ
    return c;
  }

  std::vector<int32_t> generate(std::vector<int32_t> prompt, GenerationOptions options) {
    std::vector<int32_t> out;
    generator_.generate(prompt, options, [&](int32_t id) { out.push_back(id); });
    return out;
  }

  std::unique_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Ops> ops_;
  Generator generator_;
};

TEST_F(GeneratorTest, CacheChangesNoToken) {
  // 40 tokens run over the context of 12 several times.
  for (const double temperature : {0.0, 1.0}) {
    GenerationOptions options{.sampling = {.temperature = temperature, .seed = 4},
                              .max_tokens = 40};
    const std::vector<int32_t> cached = generate({1, 2, 3}, options);
    options.use_cache = false;
    EXPECT_EQ(cached, generate({1, 2, 3}, options));
    ASSERT_EQ(cached.size(), 40u);
  }
}

TEST_F(GeneratorTest, SomeIdsAreNeverDrawn) {
  for (const SamplingOptions& sampling :
       {SamplingOptions{.temperature = 0}, SamplingOptions{.temperature = 3},
        SamplingOptions{.top_k = 5}, SamplingOptions{.top_p = 0.9}}) {
    const GenerationOptions free{.sampling = sampling, .max_tokens = 30};
    GenerationOptions options = free;
    options.never = generate({1, 2, 3}, free);  // all that it would have drawn
    std::sort(options.never.begin(), options.never.end());
    for (const int32_t id : generate({1, 2, 3}, options)) {
      EXPECT_FALSE(std::binary_search(options.never.begin(), options.never.end(), id)) << id;
    }
  }
}

TEST_F(GeneratorTest, PromptLongerThanTheContextKeepsItsEnd) {
  std::vector<int32_t> prompt(50);
  for (size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<int32_t>(i * 7 % 31);
  const std::vector<int32_t> end(prompt.end() - 12, prompt.end());
  const GenerationOptions options{.sampling = {.temperature = 0}, .max_tokens = 1};
  EXPECT_EQ(generate(prompt, options), generate(end, options));
}

TEST_F(GeneratorTest, StopTokenEndsWithoutBeingEmitted) {
  GenerationOptions options{.sampling = {.temperature = 1, .seed = 4}, .max_tokens = 30};
  const std::vector<int32_t> all = generate({5}, options);
  options.stop = all[9];
  const std::vector<int32_t> cut = generate({5}, options);
  const auto first = std::find(all.begin(), all.end(), all[9]);
  EXPECT_EQ(cut, std::vector<int32_t>(all.begin(), first));
}

// The likeliest token of this model is far ahead of the others.
TEST_F(GeneratorTest, SixteenBitTypesGenerateWhatF32Does) {
  const GenerationOptions options{.sampling = {.temperature = 0}, .max_tokens = 1};
  const std::vector<int32_t> f32 = generate({1, 2, 3}, options);
  for (const DType dtype : {DType::bf16, DType::f16}) {
    Generator narrow(config(), dtype, *device_, *stream_, *ops_);
    narrow.parameters().initialize(9, *device_, *stream_);
    std::vector<int32_t> out;
    const std::vector<int32_t> prompt{1, 2, 3};
    narrow.generate(prompt, options, [&](int32_t id) { out.push_back(id); });
    EXPECT_EQ(out, f32) << name(dtype);
  }
}

TEST_F(GeneratorTest, RefusesPromptsItCannotContinue) {
  EXPECT_THROW(generate({}, {}), Error);
  EXPECT_THROW(generate({31}, {}), Error);
  EXPECT_THROW(generate({-1}, {}), Error);
}

}  // namespace
}  // namespace weft
