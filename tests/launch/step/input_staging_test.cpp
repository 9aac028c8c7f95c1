#include "launch/step/input_staging.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include "core/backends/backends.h"
#include "core/device/cpu/cpu_device.h"

namespace weft {
namespace {

constexpr int64_t kRows = 2, kTokens = 6;

void number_tokens(int64_t sample, std::span<int32_t> inputs, std::span<int32_t> targets) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    inputs[i] = static_cast<int32_t>(sample * 100) + static_cast<int32_t>(i);
    targets[i] = -inputs[i];
  }
}

class InputStagingTest : public testing::Test {
 protected:
  // Inputs of a rank with `share`, and `count` places for micro-batches.
  void make(const TokenShare& share, int count) {
    inputs_ = std::make_unique<InputStaging>(*device_, *stream_, kRows, kTokens, share);
    inputs_->allocate(host_);
    for (int i = 0; i < count; ++i) {
      const Shape shape{kRows, share.count};
      batches_.push_back({.tokens = memory_.allocate(shape, DType::i32),
                          .targets = memory_.allocate(shape, DType::i32),
                          .loss_sum = {}});
    }
  }
  static std::vector<int32_t> values(const Tensor& t) {
    return {t.data<int32_t>(), t.data<int32_t>() + t.elements()};
  }

  std::unique_ptr<Device> device_ = make_device({});
  // One that works beside the calling thread, as a GPU does.
  std::unique_ptr<Stream> stream_ = device_->make_stream(StreamKind::communication);
  Arena host_{"host", device_->allocate_host(4096)};
  Arena memory_{"memory", *device_, 4096};
  std::unique_ptr<InputStaging> inputs_;
  std::vector<MicroBatch> batches_;
};

TEST_F(InputStagingTest, RunsTwoMicroBatchesAheadAndNoFurther) {
  make(TokenShare::whole(kTokens), 3);
  std::promise<void> gate;
  std::future<void> opened = gate.get_future();
  cpu_stream(*stream_).run([&opened] { opened.wait(); });
  std::atomic<int64_t> filled{0};
  const FillSample fill = [&](int64_t sample, std::span<int32_t> in, std::span<int32_t> out) {
    number_tokens(sample, in, out);
    ++filled;
  };
  inputs_->load(0, fill, batches_[0]);
  inputs_->load(kRows, fill, batches_[1]);
  std::thread third([&] { inputs_->load(2 * kRows, fill, batches_[2]); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(filled, 2 * kRows);  // the third waits for the first copy
  gate.set_value();
  third.join();
  stream_->synchronize();
  for (int32_t i = 0; i < 3; ++i) {
    const int32_t first = static_cast<int32_t>(kRows) * i * 100;
    const std::vector<int32_t> tokens{first,       first + 1,   first + 2,   first + 3,
                                      first + 4,   first + 5,   first + 100, first + 101,
                                      first + 102, first + 103, first + 104, first + 105};
    std::vector<int32_t> targets = tokens;
    std::ranges::transform(targets, targets.begin(), [](int32_t t) { return -t; });
    EXPECT_EQ(values(batches_[static_cast<size_t>(i)].tokens), tokens);
    EXPECT_EQ(values(batches_[static_cast<size_t>(i)].targets), targets);
  }
}

TEST_F(InputStagingTest, TakesTheShareOfTheRank) {
  make({.length = kTokens, .count = 4, .run = 2, .first = 0, .second = 4}, 1);
  inputs_->load(3, number_tokens, batches_[0]);
  stream_->synchronize();
  EXPECT_EQ(values(batches_[0].tokens),
            (std::vector<int32_t>{300, 301, 304, 305, 400, 401, 404, 405}));
  EXPECT_EQ(values(batches_[0].targets),
            (std::vector<int32_t>{-300, -301, -304, -305, -400, -401, -404, -405}));
}

}  // namespace
}  // namespace weft
