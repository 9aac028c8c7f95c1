#include "launch/train/run_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>

#include "core/base/error.h"
#include "launch/trace/chrome_trace.h"
#include "launch/trace/overlap.h"

namespace weft {
namespace {

std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

TraceOptions::Steps parse_trace_steps(const std::string& text) {
  const size_t colon = text.find(':');
  if (colon != std::string::npos) {
    const auto first = number(std::string_view(text).substr(0, colon));
    const auto last = number(std::string_view(text).substr(colon + 1));
    if (first && last && 1 <= *first && *first <= *last) return {*first, *last};
  }
  fail(ErrorKind::usage,
       "--trace-steps '{}' is no range of steps; give the first and the last, such as 3:5", text);
}

RunTrace::RunTrace(const TraceOptions& options, Device& device,
                   std::vector<SpanRecorder::Lane> streams)
    : options_(options), recorder_(device, std::move(streams)) {}

Mesh::Decorate RunTrace::decorate() {
  return [this](std::unique_ptr<Communicator> comm, const std::vector<int>&) {
    return make_traced(std::move(comm), recorder_);
  };
}

void RunTrace::plan(int64_t next, int64_t last, bool root) {
  constexpr int64_t kSteps = 3;
  steps_ = options_.steps.value_or(TraceOptions::Steps{next, next + kSteps - 1});
  if (steps_.last < next || last < steps_.first) {
    fail(ErrorKind::usage, "no step of --trace-steps {}:{} will run, but {} to {} will",
         steps_.first, steps_.last, next, last);
  }
  steps_ = {std::max(steps_.first, next), std::min(steps_.last, last)};
  if (root && !std::ofstream(options_.path, std::ios::app)) {
    fail(ErrorKind::environment, "cannot write the trace {}: {}; choose another --trace",
         options_.path, std::strerror(errno));
  }
}

void RunTrace::before_step(int64_t update) {
  recorder_.record(steps_.first <= update && update <= steps_.last);
}

std::string RunTrace::write(const Mesh& mesh, Bootstrap& bootstrap) {
  for (const SpanRecorder::Lane& lane : recorder_.lanes()) lane.stream->synchronize();
  const MeshCoord& c = mesh.coord();
  const std::string name =
      fmt::format("rank {} (dp {}, cp {}, tp {}, pp {})", mesh.rank(), c.dp, c.cp, c.tp, c.pp);
  write_chrome_trace(options_.path, name, recorder_, bootstrap);
  std::string text =
      fmt::format("trace of steps {} to {}: {}", steps_.first, steps_.last, options_.path);
  const std::string table = overlap_text(overlaps(recorder_.lanes(), recorder_.spans()));
  if (!table.empty()) text += "\ncommunication of this rank, " + name + ":\n" + table;
  while (text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace weft
