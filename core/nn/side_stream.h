// SideStream: a second stream for collectives of the tensor-parallel or the context-parallel group,
// so that one runs while the compute stream multiplies matrices or computes attention. Calls on one
// communicator must come in one order: a layer that uses the side lets the side follow compute
// first and joins it before it returns, so that collectives on either stream never meet.
#pragma once

#include <memory>

#include "core/device/device.h"

namespace weft {

class SideStream {
 public:
  // Makes its events once; `stream` must outlive it.
  SideStream(Device& device, Stream& stream)
      : stream_(stream),
        reached_(device.make_event()),
        gathered_(device.make_event()),
        reduced_(device.make_event()) {}

  Stream& stream() { return stream_; }
  Event& gathered() { return *gathered_; }
  Event& reduced() { return *reduced_; }
  // What the side is given from now on starts after what `compute` was given so far.
  void follow(Stream& compute) {
    compute.record(*reached_);
    stream_.wait(*reached_);
  }

 private:
  Stream& stream_;
  std::unique_ptr<Event> reached_;   // by compute
  std::unique_ptr<Event> gathered_;  // by the side: rows, or a block of keys, are there
  std::unique_ptr<Event> reduced_;
};

}  // namespace weft
