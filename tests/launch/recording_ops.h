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

  void attention_forward(const AttentionArgs& args, const Tensor& qkv, const Tensor& kv,
                         const Tensor& out, const Tensor& lse, Stream& s) override {
    give<&Ops::attention_forward>(s, args, qkv, kv, out, lse);
  }
  void attention_backward(const AttentionArgs& args, const Tensor& dout, const Tensor& qkv,
                          const Tensor& kv, const Tensor& out, const Tensor& lse,
                          const Tensor& dqkv, const Tensor& dkv, Stream& s) override {
    give<&Ops::attention_backward>(s, args, dout, qkv, kv, out, lse, dqkv, dkv);
  }
  void attention_decode(const AttentionArgs& args, const Tensor& qkv, int64_t past,
                        const Tensor& k_cache, const Tensor& v_cache, const Tensor& out,
                        Stream& s) override {
    give<&Ops::attention_decode>(s, args, qkv, past, k_cache, v_cache, out);
  }
  void dropout(const DropoutArgs& args, const Tensor& x, const Tensor& y, Stream& s) override {
    give<&Ops::dropout>(s, args, x, y);
  }
  void add(const Tensor& a, const Tensor& b, const Tensor& y, Stream& s) override {
    give<&Ops::add>(s, a, b, y);
  }
  void scale(const Tensor& x, double factor, Stream& s) override {
    give<&Ops::scale>(s, x, factor);
  }
  void fill(const Tensor& x, double value, Stream& s) override { give<&Ops::fill>(s, x, value); }
  void copy(const Tensor& from, const Tensor& to, Stream& s) override {
    give<&Ops::copy>(s, from, to);
  }
  void copy_last_columns(const Tensor& from, const Tensor& to, Stream& s) override {
    give<&Ops::copy_last_columns>(s, from, to);
  }
  void copy_stochastic(const Tensor& from, const Tensor& to, const RandomKey& key,
                       const ElementMap& elements, Stream& s) override {
    give<&Ops::copy_stochastic>(s, from, to, key, elements);
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

  template <auto Method, typename... Args>
  void give(Stream& stream, const Args&... args) {
    if (&stream != recorded_) {
      (inner_.*Method)(args..., stream);
      return;
    }
    noted_.push_back([this, args...](Stream& on) { (inner_.*Method)(args..., on); });
  }

  Ops& inner_;
  Stream* recorded_ = nullptr;
  std::vector<Call> noted_;
  int64_t runs_ = 0;
  int64_t recordings_ = 0;
};

}  // namespace weft
