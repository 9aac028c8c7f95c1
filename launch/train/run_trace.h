// RunTrace: `weft train --trace`: which steps of a run are recorded, and the file they end in.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/mesh/mesh.h"
#include "core/ops/ops.h"
#include "launch/trace/span_recorder.h"

namespace weft {

struct TraceOptions {
  struct Steps {
    int64_t first, last;  // inclusive
  };
  std::string path;
  std::optional<Steps> steps;  // absent: the first three steps that the run makes
};

// "3:5". Throws Error{usage}.
TraceOptions::Steps parse_trace_steps(const std::string& text);

class RunTrace {
 public:
  // The options, the device and the streams must outlive this.
  RunTrace(const TraceOptions& options, Device& device, std::vector<SpanRecorder::Lane> streams);

  // Sees every call of `ops`, which is handed back, as long as this lives.
  Ops& observe(Ops& ops) {
    ops.observe(&recorder_);
    return ops;
  }
  Mesh::Decorate decorate();
  SpanRecorder& recorder() { return recorder_; }

  // The run will make the updates [next, last]. Rank 0 tries the file. Throws Error{usage} when no
  // step would be recorded, Error{environment} when the file cannot be written.
  void plan(int64_t next, int64_t last, bool root);
  // To be called before update number `update` begins, between steps.
  void before_step(int64_t update);
  // Collective, at the end of the run: writes the file. Returns a line about it and a table of
  // how much of this rank's communication ran under its compute.
  std::string write(const Mesh& mesh, Bootstrap& bootstrap);

 private:
  const TraceOptions& options_;
  SpanRecorder recorder_;
  TraceOptions::Steps steps_{};
};

}  // namespace weft
