// An Ops that tells an observer of every operation, before and after it is enqueued: for timing and
// tracing. Whoever does not ask for one pays nothing.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "core/ops/ops.h"

namespace weft {

// Passes every operation on to `inner`; both arguments must outlive the result.
std::unique_ptr<Ops> make_observed(Ops& inner, OpObserver& observer);

}  // namespace weft
