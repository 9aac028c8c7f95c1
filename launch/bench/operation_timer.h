// OperationTimer: how long the operations of a step take, by operation and shapes.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/ops/op.h"

namespace weft {

// All calls of one operation on tensors of the same shapes.
struct OperationTime {
  std::string name, shapes;
  OpFamily family = OpFamily::elementwise;
  int64_t calls = 0;
  double seconds = 0, flops = 0, bytes = 0;  // of all calls together
};

// Waits for every operation and adds up its time on the stream. Waiting after every operation costs
// overlap: use it to see shares and rates, not to measure the speed of a step.
class OperationTimer final : public OpObserver {
 public:
  explicit OperationTimer(Device& device) : device_(device) { reset(); }

  void reset();
  // Those since the last reset, the longest first.
  std::vector<OperationTime> times() const;

  void before(const OpCall& call, Stream& stream) override;
  void after(const OpCall& call, Stream& stream) override;

 private:
  Device& device_;
  std::unique_ptr<Stamps> stamps_;
  size_t begin_ = 0;
  std::map<std::pair<std::string, std::string>, OperationTime> times_;  // by name and shapes
};

}  // namespace weft
