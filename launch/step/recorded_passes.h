// RecordedPasses: the passes of micro-batches through a stage, recorded once and then replayed.
//
// The first time a pass runs as it is: libraries choose algorithms and load kernels. The second
// time it is recorded, and run from the recording; from then on only the recording runs, together
// with what the pass left on the host: the tensors saved for the next pass, and who was notified of
// complete gradients. Listeners are notified after a recorded pass, not during it, so whatever they
// enqueue (sums over ranks, say) is no part of the recording. Should the working memory of
// operations have been allocated anew, a pass is recorded again.
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <vector>

#include "core/device/recorder.h"
#include "core/mesh/parameter.h"
#include "core/nn/context.h"
#include "core/nn/saved.h"
#include "parallel/pipeline/schedule.h"

namespace weft {

class RecordedPasses {
 public:
  // All that decides which memory a pass reads and writes. `in` and `grad` are the addresses of
  // what the unit was given by its neighbours, in its forward and its backward.
  struct Key {
    Act act;
    int chunk;
    int slot;
    const void* in;
    const void* grad;
    auto operator<=>(const Key&) const = default;
  };

  // All are borrowed; `ops` are those of the passes. Without a recorder every pass runs as it is.
  RecordedPasses(Recorder* recorder, const Ops& ops, Stream& stream)
      : recorder_(recorder), ops_(ops), stream_(stream) {}

  // Runs `pass`, a function of a GradientListener* that enqueues on the stream and returns a
  // tensor, or its recording under `key`; returns what it returns. Passes of one key differ in
  // nothing but the contents of memory. `saved` is what they push on and pop from, and changes as
  // if the pass had run.
  template <typename Pass>
  Tensor run(const Key& key, Saved& saved, GradientListener* listener, const Pass& pass) {
    if (recorder_ == nullptr) return pass(listener);
    Piece& piece = pieces_[key];
    if (!piece.ran) {
      piece.ran = true;
      return pass(listener);
    }
    if (piece.recording == nullptr || piece.reserved != ops_.reserved()) {
      piece.notified.parameters.clear();
      piece.reserved = ops_.reserved();
      recorder_->begin(stream_);
      piece.result = pass(&piece.notified);
      piece.recording = recorder_->end(stream_);
      piece.left = saved.state();
    } else {
      saved.restore(piece.left);
    }
    piece.recording->run(stream_);
    for (Parameter* p : piece.notified.parameters) listener->gradient_ready(*p, stream_);
    return piece.result;
  }

 private:
  struct Notified final : GradientListener {
    void gradient_ready(Parameter& parameter, Stream&) override {
      parameters.push_back(&parameter);
    }
    std::vector<Parameter*> parameters;
  };
  struct Piece {
    bool ran = false;
    size_t reserved = 0;  // working memory when it was recorded
    std::unique_ptr<Recording> recording;
    Tensor result;
    Saved::State left;
    Notified notified;
  };

  Recorder* recorder_;
  const Ops& ops_;
  Stream& stream_;
  std::map<Key, Piece> pieces_;
};

}  // namespace weft
