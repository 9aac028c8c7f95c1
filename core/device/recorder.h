// Recorder: notes what a stream is given, so that all of it can be enqueued again at once, at the
// cost of one call: a CUDA graph.
//
//   recorder.begin(stream);
//   ... operations on `stream`, which are noted and not done ...
//   const std::unique_ptr<Recording> pass = recorder.end(stream);
//   pass->run(stream);
//
// A recording has the addresses and the values of arguments as they were when they were noted. What
// differs from run to run must lie in memory that the work reads.
#pragma once

#include <memory>

#include "core/device/device.h"

namespace weft {

class Recording {
 public:
  virtual ~Recording() = default;
  // Enqueues the work, in its order; it may still be under way from a run before.
  virtual void run(Stream& stream) = 0;
};

class Recorder {
 public:
  virtual ~Recorder() = default;
  // From here on the calling thread may give `stream` operations alone: nothing that waits for the
  // device, takes or frees its memory, or has to do with another stream. After an exception in
  // between the stream is good for nothing but to be destroyed.
  virtual void begin(Stream& stream) = 0;
  virtual std::unique_ptr<Recording> end(Stream& stream) = 0;
};

}  // namespace weft
