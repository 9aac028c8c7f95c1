// Spans on lanes, and the JSON they become.
#include "launch/trace/span_recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "core/backends/backends.h"
#include "core/device/cpu/cpu_device.h"
#include "launch/trace/chrome_trace.h"

namespace weft {
namespace {

using ::testing::ElementsAre;

class SpanRecorderTest : public ::testing::Test {
 protected:
  SpanRecorderTest() { ops_->observe(&recorder_); }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const SpanRecorder::Span& span : recorder_.spans()) names.push_back(span.name);
    return names;
  }

  std::unique_ptr<Device> device_ = make_device({.threads = 1});
  std::unique_ptr<Stream> compute_ = device_->make_stream(StreamKind::compute);
  std::unique_ptr<Stream> communication_ = device_->make_stream(StreamKind::communication);
  SpanRecorder recorder_{*device_, {{"compute", compute_.get()}, {"talk", communication_.get()}}};
  std::unique_ptr<Ops> ops_ = make_ops(*device_);
  std::vector<float> data_ = std::vector<float>(12, 1.0f);
  Tensor x_{data_.data(), Shape{3, 4}, DType::f32};
};

TEST_F(SpanRecorderTest, RecordsOnlyWhenAsked) {
  (*ops_)(op::Add{.a = x_, .b = x_, .y = x_}, *compute_);
  recorder_.record(true);
  (*ops_)(op::Add{.a = x_, .b = x_, .y = x_}, *compute_);
  recorder_.record(false);
  (*ops_)(op::Add{.a = x_, .b = x_, .y = x_}, *compute_);
  EXPECT_THAT(names(), ElementsAre("add"));
  EXPECT_EQ(data_[0], 8.0f);
}

TEST_F(SpanRecorderTest, SpansNestAndTellShapes) {
  recorder_.record(true);
  {
    const Phase step(&recorder_, "step 1", *compute_);
    (*ops_)(op::Fill{.x = x_, .value = 1}, *compute_);
    (*ops_)(op::Add{.a = x_, .b = x_, .y = x_}, *compute_);
  }
  const auto spans = recorder_.spans();
  ASSERT_THAT(names(), ElementsAre("step 1", "fill", "add"));
  EXPECT_EQ(spans[2].shapes, "f32[3, 4]");
  EXPECT_LE(spans[0].begin_ns, spans[1].begin_ns);
  EXPECT_LE(spans[1].begin_ns, spans[1].end_ns);
  EXPECT_LE(spans[1].end_ns, spans[2].begin_ns);
  EXPECT_LE(spans[2].end_ns, spans[0].end_ns);
}

// The call returns at once; the span is where the work was, behind what the stream did before.
TEST_F(SpanRecorderTest, TimesAreThoseOfTheStream) {
  using std::chrono::steady_clock;
  constexpr auto kBusy = std::chrono::milliseconds(50);
  recorder_.record(true);
  std::atomic<bool> go{false};
  cpu_stream(*communication_).run([&go] {
    while (!go) std::this_thread::yield();
  });
  const auto comm = make_traced(make_counting_communicator("tp", 0, 2), recorder_);
  comm->all_reduce(x_, ReduceOp::sum, *communication_);
  recorder_.begin("mark", *compute_);
  recorder_.end(*compute_);
  std::this_thread::sleep_for(kBusy);
  go = true;
  communication_->synchronize();
  const auto spans = recorder_.spans();
  ASSERT_THAT(names(), ElementsAre("tp all_reduce", "mark"));
  EXPECT_EQ(spans[0].lane, 1u);
  EXPECT_EQ(spans[0].bytes, 48);
  EXPECT_GE(spans[0].begin_ns - spans[1].end_ns, std::chrono::nanoseconds(kBusy).count());
}

TEST_F(SpanRecorderTest, AStreamThatIsNotListedGetsTheLaneOfItsAxis) {
  const auto other = device_->make_stream(StreamKind::communication);
  const auto comm = make_traced(make_counting_communicator("pp", 0, 2), recorder_);
  recorder_.record(true);
  comm->broadcast(x_, 0, *other);
  comm->broadcast(x_, 0, *other);
  other->synchronize();
  ASSERT_THAT(names(), ElementsAre("pp broadcast", "pp broadcast"));
  EXPECT_EQ(recorder_.spans()[1].lane, 2u);
  ASSERT_EQ(recorder_.lanes().size(), 3u);
  EXPECT_EQ(recorder_.lanes()[2].name, "pp");
}

TEST(ChromeTrace, WritesAnEventPerSpan) {
  const SpanRecorder::Lane lanes[] = {{"compute", nullptr}, {"talk", nullptr}};
  const SpanRecorder::Span spans[] = {
      {.name = "add", .category = "op", .shapes = "f32[2]", .begin_ns = 5'000, .end_ns = 7'500},
      {.name = "tp all_gather",
       .category = "collective",
       .bytes = 64,
       .lane = 1,
       .begin_ns = 6'001,
       .end_ns = 6'002}};
  EXPECT_EQ(chrome_events(3, "rank 3", lanes, spans, 5'000),
            R"({"ph":"M","name":"process_name","pid":3,"tid":0,"args":{"name":"rank 3"}},
{"ph":"M","name":"thread_name","pid":3,"tid":0,"args":{"name":"compute"}},
{"ph":"M","name":"thread_name","pid":3,"tid":1,"args":{"name":"talk"}},
{"ph":"X","name":"add","cat":"op","pid":3,"tid":0,"ts":0.000,"dur":2.500,"args":{"shapes":"f32[2]"}},
{"ph":"X","name":"tp all_gather","cat":"collective","pid":3,"tid":1,"ts":1.001,"dur":0.001,"args":{"bytes":64}})");
}

}  // namespace
}  // namespace weft
