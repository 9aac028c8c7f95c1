#include "launch/step/bf16_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <set>

#include "core/ops/cpu/dnnl_products.h"
#include "parallel/comm/bootstrap.h"

namespace weft {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

RunConfig small_run() {
  RunConfig config;
  config.model = {.vocab_size = 300, .context_length = 64, .layers = 1, .heads = 2, .width = 96};
  config.train.batch_size = 4;
  config.precision = Precision::bf16;
  config.cpu.threads = 1;
  return config;
}

std::string settle(RunConfig& config) {
  std::string line;
  run_local_ranks(
      1, [&](Bootstrap& bootstrap) { line = settle_bf16_products(config, "", bootstrap); });
  return line;
}

TEST(Bf16Choice, IsMadeAndSaid) {
  RunConfig config = small_run();
  const std::string line = settle(config);
  EXPECT_NE(config.cpu.bf16_products, Bf16Products::automatic);
  const bool native = config.cpu.bf16_products == Bf16Products::native;
  EXPECT_THAT(line, HasSubstr(native ? "native" : "converted"));
  if (detail::DnnlProducts::serves(DType::bf16)) {
    EXPECT_THAT(line, HasSubstr("measured"));
  } else {
    EXPECT_FALSE(native);
  }
}

TEST(Bf16Choice, IsLeftWhereNothingIsOpen) {
  RunConfig config = small_run();
  config.precision = Precision::f32;
  EXPECT_THAT(settle(config), IsEmpty());
  EXPECT_EQ(config.cpu.bf16_products, Bf16Products::automatic);
  config = small_run();
  config.cpu.bf16_products = Bf16Products::converted;
  EXPECT_THAT(settle(config), IsEmpty());
  EXPECT_EQ(config.cpu.bf16_products, Bf16Products::converted);
}

TEST(Bf16Choice, IsTheSameOnAllRanks) {
  std::mutex mutex;
  std::set<Bf16Products> choices;
  run_local_ranks(3, [&](Bootstrap& bootstrap) {
    RunConfig config = small_run();
    config.train.batch_size = 3;
    settle_bf16_products(config, "", bootstrap);
    const std::lock_guard lock(mutex);
    choices.insert(config.cpu.bf16_products);
  });
  EXPECT_EQ(choices.size(), 1u);
}

}  // namespace
}  // namespace weft
