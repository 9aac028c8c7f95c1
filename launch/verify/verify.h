// Verify: every layout of a model trains like one rank, or the table says which tensor does not
// (docs/verify.md has the derivation of the bounds).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launch/verify/layout_run.h"

namespace weft {

// The same architecture, small enough to train on every layout in seconds: at most 4 layers, 8
// elements a head, 16 tokens, an odd vocabulary of at most 61. Keeps heads, biases, tying,
// positions, activation and dropout. The optimizer's eps is raised to kVerifyEps, so that an update
// is a smooth function of its gradient.
RunConfig shrink(const RunConfig& config);
inline constexpr double kVerifyEps = 1e-2;

// Every legal layout of up to `max_ranks` ranks for `config`: each mesh with its whole batch at
// once and in smaller micro-batches, with every schedule, ZeRO stage and recompute policy.
std::vector<Layout> legal_layouts(const RunConfig& config, int max_ranks);

// How far a layout may be from one rank; see docs/verify.md.
struct Bounds {
  double gradient;  // of an element of a gradient, relative to the largest of its tensor
  double moment;    // the same of a first moment after the last step
  double update;    // of a weight's element after the last step, per largest gradient of its tensor
  double rounding;  // of a weight's element, relative to the largest weight of its tensor
  double loss;      // relative
  // By name of a matrix that Muon updates: of an element after the last step, per largest element
  // and inverse 2-norm of its momentum.
  std::map<std::string, double> orthogonal;
};
Bounds bounds_of(const RunConfig& config, int64_t steps);

// The largest magnitude, 0 of no values; and that of a - b, NaN if one is.
double largest(const Values& values);
double largest_difference(const Values& a, const Values& b);

struct Comparison {
  Layout layout;
  std::optional<Fault> fault;  // what was broken on purpose
  std::string worst;           // what was closest to (or furthest over) its bound
  double error = 0;            // its error
  double bound = 0;            // its bound
  bool ok = false;
};
// `reference` is the trace of one rank.
Comparison compare(const Layout& layout, const LayoutTrace& trace, const LayoutTrace& reference,
                   const Bounds& bounds);

// Fault number `number`, from 0, of those of its kind that a layout can have.
struct Injection {
  FaultKind kind;
  int64_t number = 0;
};

struct VerifyOptions {
  int64_t steps = 3;
  std::optional<Injection> inject;  // into every layout that has such a fault; others are left out
  Bootstrap* job = nullptr;         // see run_layout
};
// Runs `layouts` of `config`, which has been shrunken, against one rank of this process; tells
// `report` each result as it comes.
void verify_layouts(const RunConfig& config, const std::vector<Layout>& layouts,
                    const VerifyOptions& options,
                    const std::function<void(const Comparison&)>& report);

}  // namespace weft
