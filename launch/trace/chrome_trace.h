// Traces as chrome://tracing and https://ui.perfetto.dev read them: the "Trace Event Format", JSON
// object form. A process is a rank, a thread one of its streams.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/mesh/communicator.h"
#include "launch/trace/span_recorder.h"

namespace weft {

// The events of one rank, separated by commas: the names of process and lanes, then a complete
// event
// ("ph": "X") per span, with times in microseconds since `origin_ns`. Names must need no escaping.
std::string chrome_events(int rank, const std::string& rank_name,
                          std::span<const SpanRecorder::Lane> lanes,
                          std::span<const SpanRecorder::Span> spans, int64_t origin_ns);

// Collective: every rank's spans into one file at `path` on rank 0, the earliest span at 0. All
// streams must have been synchronized. Throws Error{io} on rank 0.
void write_chrome_trace(const std::string& path, const std::string& rank_name,
                        const SpanRecorder& recorder, Bootstrap& bootstrap);

}  // namespace weft
