// How much of a rank's communication ran while it computed.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "launch/trace/span_recorder.h"

namespace weft {

// The collectives of one name on one lane.
struct Overlap {
  std::string lane;
  std::string collective;
  int64_t calls = 0;
  double seconds = 0;        // of the calls, waiting for other ranks included
  double under_compute = 0;  // seconds of them in which an operation ran on lane 0
};

// Of every collective that `spans` hold, in order of lanes and names. Lane 0 is that of operations;
// collectives on it overlap nothing.
std::vector<Overlap> overlaps(std::span<const SpanRecorder::Lane> lanes,
                              std::span<const SpanRecorder::Span> spans);

// A table of them, one line each; empty if there are none.
std::string overlap_text(std::span<const Overlap> overlaps);

}  // namespace weft
