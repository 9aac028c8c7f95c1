#include "launch/trace/span_recorder.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"

namespace weft {

SpanRecorder::SpanRecorder(Device& device, std::vector<Lane> lanes)
    : lanes_(std::move(lanes)), stamps_(device.make_stamps()), open_(lanes_.size()) {}

void SpanRecorder::record(bool on) {
  for (const auto& spans : open_) {
    WEFT_CHECK(spans.empty(), "recording switched inside '{}'",
               recorded_[spans.empty() ? 0 : spans.back()].span.name);
  }
  recording_ = on;
}

size_t SpanRecorder::lane_of(const Stream& stream) const {
  const auto found =
      std::ranges::find_if(lanes_, [&](const Lane& lane) { return lane.stream == &stream; });
  return static_cast<size_t>(found - lanes_.begin());
}

void SpanRecorder::open(Span span, Stream& stream, const std::string& lane) {
  span.lane = lane_of(stream);
  if (span.lane == lanes_.size()) {
    lanes_.push_back({lane, &stream});
    open_.emplace_back();
  }
  open_[span.lane].push_back(recorded_.size());
  recorded_.push_back({std::move(span), stamps_->put(stream), 0});
}

void SpanRecorder::begin(const std::string& name, Stream& stream) {
  if (recording_) open({.name = name, .category = "phase"}, stream, name);
}

void SpanRecorder::end(Stream& stream) {
  if (!recording_) return;
  const size_t lane = lane_of(stream);
  WEFT_CHECK(lane < lanes_.size(), "a span ended on a stream without one");
  std::vector<size_t>& open_here = open_[lane];
  WEFT_CHECK(!open_here.empty(), "a span ended that never began");
  recorded_[open_here.back()].end_stamp = stamps_->put(stream);
  open_here.pop_back();
}

void SpanRecorder::before(const OpCall& call, Stream& stream) {
  if (!recording_) return;
  const std::string op(call.name);
  open({.name = op, .category = "op", .shapes = shapes_of(call)}, stream, op);
}

void SpanRecorder::after(const OpCall&, Stream& stream) { end(stream); }

void SpanRecorder::before(const CommCall& call, Stream* stream) {
  if (!recording_ || stream == nullptr) return;
  open({.name = fmt::format("{} {}", call.axis, name(call.op)),
        .category = "collective",
        .bytes = call.payload_bytes},
       *stream, call.axis);
}

void SpanRecorder::after(const CommCall&, Stream* stream) {
  if (stream != nullptr) end(*stream);
}

std::vector<SpanRecorder::Span> SpanRecorder::spans() const {
  std::vector<Span> spans;
  for (const Recorded& r : recorded_) {
    Span& span = spans.emplace_back(r.span);
    span.begin_ns = stamps_->nanoseconds(r.begin_stamp);
    span.end_ns = stamps_->nanoseconds(r.end_stamp);
  }
  return spans;
}

}  // namespace weft
