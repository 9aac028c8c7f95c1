#include "launch/trace/chrome_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>

#include "core/base/error.h"

namespace weft {
namespace {

std::string metadata(int rank, size_t lane, std::string_view what, std::string_view name) {
  return fmt::format(R"({{"ph":"M","name":"{}","pid":{},"tid":{},"args":{{"name":"{}"}}}})", what,
                     rank, lane, name);
}

std::string event(int rank, const SpanRecorder::Span& span, int64_t origin_ns) {
  constexpr double kMicro = 1e-3;  // of a nanosecond
  std::string args;
  if (!span.shapes.empty()) args = fmt::format(R"("shapes":"{}")", span.shapes);
  if (span.category == "collective") args = fmt::format(R"("bytes":{})", span.bytes);
  return fmt::format(
      R"({{"ph":"X","name":"{}","cat":"{}","pid":{},"tid":{},"ts":{:.3f},"dur":{:.3f},"args":{{{}}}}})",
      span.name, span.category, rank, span.lane,
      static_cast<double>(span.begin_ns - origin_ns) * kMicro,
      static_cast<double>(span.end_ns - span.begin_ns) * kMicro, args);
}

// The earliest begin of anybody's spans.
int64_t earliest(std::span<const SpanRecorder::Span> spans, Bootstrap& bootstrap) {
  int64_t first = std::numeric_limits<int64_t>::max();
  for (const SpanRecorder::Span& span : spans) first = std::min(first, span.begin_ns);
  for (const std::string& text : bootstrap.all_gather(std::to_string(first))) {
    first = std::min<int64_t>(first, std::stoll(text));
  }
  return first;
}

}  // namespace

std::string chrome_events(int rank, const std::string& rank_name,
                          std::span<const SpanRecorder::Lane> lanes,
                          std::span<const SpanRecorder::Span> spans, int64_t origin_ns) {
  std::string text = metadata(rank, 0, "process_name", rank_name);
  for (size_t lane = 0; lane < lanes.size(); ++lane) {
    text += ",\n" + metadata(rank, lane, "thread_name", lanes[lane].name);
  }
  for (const SpanRecorder::Span& span : spans) text += ",\n" + event(rank, span, origin_ns);
  return text;
}

void write_chrome_trace(const std::string& path, const std::string& rank_name,
                        const SpanRecorder& recorder, Bootstrap& bootstrap) {
  const std::vector<SpanRecorder::Span> spans = recorder.spans();
  const int64_t origin = earliest(spans, bootstrap);
  const std::string mine =
      chrome_events(bootstrap.rank(), rank_name, recorder.lanes(), spans, origin);
  std::ofstream out;
  if (bootstrap.rank() == 0) out.open(path, std::ios::trunc);
  if (bootstrap.rank() == 0) out << "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n";
  // One rank after the other, so that nobody holds more than one rank's events.
  for (int rank = 0; rank < bootstrap.size(); ++rank) {
    const std::string events = bootstrap.broadcast(mine, rank);
    if (bootstrap.rank() == 0) out << (rank == 0 ? "" : ",\n") << events;
  }
  if (bootstrap.rank() != 0) return;
  out << "\n]}\n";
  if (!out.flush())
    fail(ErrorKind::io, "cannot write the trace {}: {}", path, std::strerror(errno));
}

}  // namespace weft
