// SpanRecorder: when the operations and collectives of one rank ran, and on which stream. The clock
// is read on the stream, before and after each call's own work, not when the call is made.
//
//   SpanRecorder recorder(device, {{"compute", &compute}, {"communication", &communication}});
//   ops.observe(&recorder);
//   Mesh mesh(bootstrap, shape, [&](auto comm) { return make_traced(std::move(comm), recorder); });
//   recorder.record(true);
//   ... a training step ...
//   compute.synchronize(), communication.synchronize();
//   for (const SpanRecorder::Span& span : recorder.spans()) ...
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/ops/op.h"
#include "parallel/comm/trace.h"

namespace weft {

class SpanRecorder final : public OpObserver, public CommObserver {
 public:
  struct Lane {
    std::string name;
    Stream* stream;
  };
  // On one lane spans either lie apart or one holds the other.
  struct Span {
    std::string name;      // "matmul", "tp all_gather", "step 3"
    std::string category;  // "op", "collective", "phase"
    std::string shapes;    // of an operation: "f32[64, 128] f32[128, 512]"
    int64_t bytes = 0;     // payload of a collective, as CommCall has it
    size_t lane = 0;
    int64_t begin_ns = 0;  // since 1970
    int64_t end_ns = 0;
  };

  // A stream that is not listed gets a lane with its first span, named after the axis of a
  // collective. The device must outlive this, the streams the last use of lanes().
  SpanRecorder(Device& device, std::vector<Lane> lanes);

  // Switches recording, off at first. Not while a span is open.
  void record(bool on);
  // A span around all that `stream` is given between the two calls; such spans nest.
  void begin(const std::string& name, Stream& stream);
  void end(Stream& stream);

  void before(const OpCall& call, Stream& stream) override;
  void after(const OpCall& call, Stream& stream) override;
  void before(const CommCall& call, Stream* stream) override;
  void after(const CommCall& call, Stream* stream) override;

  const std::vector<Lane>& lanes() const { return lanes_; }
  // In the order in which they were begun. All streams must have been synchronized.
  std::vector<Span> spans() const;

 private:
  struct Recorded {
    Span span;  // without times
    size_t begin_stamp, end_stamp;
  };

  // `lane` is the name of the stream's lane if it has none yet.
  void open(Span span, Stream& stream, const std::string& lane);
  size_t lane_of(const Stream& stream) const;  // lanes_.size() if it has none

  std::vector<Lane> lanes_;
  std::unique_ptr<Stamps> stamps_;
  bool recording_ = false;
  std::vector<Recorded> recorded_;
  std::vector<std::vector<size_t>> open_;  // by lane, indices into recorded_
};

// Calls begin and end of a recorder, if there is one.
class Phase {
 public:
  Phase(SpanRecorder* recorder, const std::string& name, Stream& stream)
      : recorder_(recorder), stream_(stream) {
    if (recorder_ != nullptr) recorder_->begin(name, stream_);
  }
  ~Phase() {
    if (recorder_ != nullptr) recorder_->end(stream_);
  }
  Phase(const Phase&) = delete;
  Phase& operator=(const Phase&) = delete;

 private:
  SpanRecorder* recorder_;
  Stream& stream_;
};

}  // namespace weft
