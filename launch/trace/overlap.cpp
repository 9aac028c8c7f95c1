#include "launch/trace/overlap.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace weft {
namespace {

using Spans = std::span<const SpanRecorder::Span>;

// Operations of lane 0 in order of time; they lie apart.
std::vector<SpanRecorder::Span> operations(Spans spans) {
  std::vector<SpanRecorder::Span> ops;
  std::ranges::copy_if(spans, std::back_inserter(ops), [](const SpanRecorder::Span& s) {
    return s.lane == 0 && s.category == "op";
  });
  std::ranges::sort(ops, {}, &SpanRecorder::Span::begin_ns);
  return ops;
}

int64_t time_under(Spans operations, const SpanRecorder::Span& span) {
  auto op = std::ranges::upper_bound(operations, span.begin_ns, {}, &SpanRecorder::Span::end_ns);
  int64_t under = 0;
  for (; op != operations.end() && op->begin_ns < span.end_ns; ++op) {
    under += std::min(op->end_ns, span.end_ns) - std::max(op->begin_ns, span.begin_ns);
  }
  return under;
}

}  // namespace

std::vector<Overlap> overlaps(std::span<const SpanRecorder::Lane> lanes, Spans spans) {
  constexpr double kNano = 1e-9;
  const std::vector<SpanRecorder::Span> ops = operations(spans);
  std::map<std::pair<size_t, std::string>, Overlap> rows;
  for (const SpanRecorder::Span& span : spans) {
    if (span.category != "collective") continue;
    Overlap& row = rows[{span.lane, span.name}];
    row.lane = lanes[span.lane].name;
    row.collective = span.name;
    ++row.calls;
    row.seconds += kNano * static_cast<double>(span.end_ns - span.begin_ns);
    row.under_compute += kNano * static_cast<double>(time_under(ops, span));
  }
  std::vector<Overlap> all;
  for (auto& [key, row] : rows) all.push_back(std::move(row));
  return all;
}

std::string overlap_text(std::span<const Overlap> overlaps) {
  if (overlaps.empty()) return {};
  constexpr double kMilli = 1e3;
  std::string text = fmt::format("{:<18} {:<22} {:>6} {:>9} {:>14}\n", "stream", "collective",
                                 "calls", "ms", "under compute");
  for (const Overlap& o : overlaps) {
    const double share = o.seconds > 0 ? o.under_compute / o.seconds : 0;
    text += fmt::format("{:<18} {:<22} {:>6} {:>9.2f} {:>13.0f}%\n", o.lane, o.collective, o.calls,
                        kMilli * o.seconds, 100 * share);
  }
  return text;
}

}  // namespace weft
