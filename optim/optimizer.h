// Optimizer: how gradients become updates, behind one interface, and what is kept for that from
// step to step as named tensors. Checkpoints, snapshots, `weft verify` and the planner go through
// states() and know no kind.
//
//   const auto optimizer = make_optimizer(config, seed, parameters);  // not yet allocated
//   parameters.allocate(...);  optimizer->allocate(states, work);
//   optimizer->step({.lr = ..., .clip = ..., .update = ...}, ops, stream, listener);
//
// An optimizer works on the parameters that it was made for, its members, which may be some of a
// set.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/mesh/communicator.h"
#include "core/mesh/parameter.h"
#include "core/ops/ops.h"
#include "optim/optimizer_config.h"

namespace weft {

// What is kept of one parameter under one name: of the elements that this rank owns, flat.
struct StateTensor {
  std::string_view kind;  // in checkpoints: "exp_avg"; a constant
  Tensor own;
};

// The kind of a running mean or sum of gradients.
inline constexpr std::string_view kMomentum = "momentum";

// What an update goes by.
struct UpdateInputs {
  double lr = 0;
  Tensor clip;    // f32 [1] on the device: gradients count times this
  Tensor update;  // i64 [1] on the device: 1 for the first update, 2, ...; 0: there is none
  Communicator* tensor = nullptr;  // the tensor-parallel ranks; null where there is only one
};

class Optimizer {
 public:
  using Members = std::vector<Parameter*>;

  virtual ~Optimizer() = default;

  // Lays out the state in `states`, all zero, and in `work` what step() needs besides, whose
  // contents do not matter between steps; to be called after the members were allocated.
  virtual void allocate(Arena& states, Arena& work) = 0;

  // Updates what this rank owns of every member, and of its value where that is a rounded copy.
  // Owned gradients are zero afterwards, also where there is no update. Weight decay applies to the
  // members whose spec says so. Frozen members are left alone, gradients too. Goes unit by unit of
  // the model, and notifies `listener` (may be null) each member when it is updated.
  virtual void step(const UpdateInputs& inputs, Ops& ops, Stream& stream,
                    UpdateListener* listener = nullptr) = 0;

  // The state of a member. The first one is a mean or a sum of its gradients.
  virtual std::span<const StateTensor> states(const Parameter& member) const = 0;

  // What ZeRO may cut: whether an update needs all of a parameter where it is made.
  virtual Grain grain(const ParamSpec& spec) const = 0;
};

// The configured optimizer of all parameters of the set, which it borrows; gives each its grain.
// `seed` decides stochastic rounding, where that is configured. Call when all parameters are
// registered, before they are allocated.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, uint64_t seed,
                                          ParameterSet& parameters);

}  // namespace weft
