// RunsEach: Ops that do one thing with whatever operation they are given. Self has
//   template <typename Op> void run_each(const Op& op, Stream& stream);
// What is instantiated is large: include this in the .cpp that needs it.
#pragma once

#include "core/ops/ops.h"

namespace weft {

template <typename Self, typename List = AllOps>
class RunsEach;

template <typename Self>
class RunsEach<Self, Types<>> : public Ops {};

template <typename Self, typename First, typename... Rest>
class RunsEach<Self, Types<First, Rest...>> : public RunsEach<Self, Types<Rest...>> {
 protected:
  using RunsEach<Self, Types<Rest...>>::run;
  void run(const First& op, Stream& stream) final {
    static_cast<Self*>(this)->run_each(op, stream);
  }
};

}  // namespace weft
