// UnitGatherer: with ZeRO 3 a rank keeps its own share of the weights alone. A unit of the model is
// gathered into one of two slots before it is computed, and the next one, in the direction of the
// pass, into the other slot meanwhile, on the communication stream.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "core/mesh/mesh.h"
#include "core/mesh/parameter.h"

namespace weft {

class UnitGatherer final : public UnitListener {
 public:
  // Everything is borrowed. Call after the set was allocated.
  UnitGatherer(ParameterSet& parameters, Mesh& mesh, Device& device, Stream& communication);

  // Before a step of `micro_batches` forward and backward passes.
  void begin(int64_t micro_batches);
  void before_unit(int64_t unit, Pass pass, Stream& stream) override;
  // The owned weights have changed: what was gathered is forgotten.
  void invalidate();

 private:
  struct Slot {
    int64_t unit = kNone;  // whose weights it holds
    std::unique_ptr<Event> gathered;
  };
  static constexpr int64_t kNone = -1;

  Slot& slot_of(int64_t unit) { return slots_[ParameterSet::slot_of(unit)]; }
  bool holds(int64_t unit) const;
  void fetch(int64_t unit, Stream& stream);  // gathers it unless it is there already
  void gather(int64_t unit, Stream& stream);

  ParameterSet& parameters_;
  Mesh& mesh_;
  Stream& communication_;
  std::array<Slot, ParameterSet::kSlots> slots_;
  std::unique_ptr<Event> reusable_;
  int64_t forwards_left_ = 0;  // of unit 0 in this step
};

}  // namespace weft
