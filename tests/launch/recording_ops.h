// RecordingOps: a recorder on CPUs. Like a GPU's it notes operations instead of doing them, with
// the values that their arguments have then, and does them when the recording runs.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/base/error.h"
#include "core/device/recorder.h"
#include "core/ops/each_op.h"

namespace weft {

class RecordingOps final : public RunsEach<RecordingOps>, public Recorder {
 public:
  explicit RecordingOps(Ops& inner) : inner_(inner) {}

  int64_t runs() const { return runs_; }  // of all recordings
  int64_t recordings() const { return recordings_; }

  void begin(Stream& stream) override {
    WEFT_CHECK(recorded_ == nullptr, "a recording began within another");
    recorded_ = &stream;
  }
  std::unique_ptr<Recording> end(Stream& stream) override {
    WEFT_CHECK(recorded_ == &stream && !noted_.empty(), "a recording of nothing");
    recorded_ = nullptr;
    ++recordings_;
    return std::make_unique<Noted>(*this, std::move(noted_));
  }

  WorkingMemory& working_memory() override { return inner_.working_memory(); }
  void reserve(size_t bytes) override { inner_.reserve(bytes); }
  size_t reserved() const override { return inner_.reserved(); }

  template <typename Op>
  void run_each(const Op& op, Stream& stream) {
    if (&stream != recorded_) {
      inner_(op, stream);
      return;
    }
    // Their lists belong to the caller: they are not for passes.
    WEFT_CHECK(Op::kName.family != OpFamily::optimizer, "{} within a pass", Op::kName.text);
    noted_.push_back([this, op](Stream& on) { inner_(op, on); });
  }

 private:
  using Call = std::function<void(Stream&)>;

  class Noted final : public Recording {
   public:
    Noted(RecordingOps& by, std::vector<Call> calls) : by_(by), calls_(std::move(calls)) {}
    void run(Stream& stream) override {
      ++by_.runs_;
      for (const Call& call : calls_) call(stream);
    }

   private:
    RecordingOps& by_;
    std::vector<Call> calls_;
  };

  Ops& inner_;
  Stream* recorded_ = nullptr;
  std::vector<Call> noted_;
  int64_t runs_ = 0;
  int64_t recordings_ = 0;
};

}  // namespace weft
