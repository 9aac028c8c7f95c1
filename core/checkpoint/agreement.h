// What a stage of a save comes to, on one rank and on all of them: either everybody's outcome, or
// the same error on every rank.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace weft {

class Bootstrap;

// One rank's outcome of a stage: an error, or what it has to tell the others.
struct Outcome {
  std::string error;  // empty when all went well
  ErrorKind kind = ErrorKind::io;
  std::string payload;
};

// What `action` returns, or the error it throws.
Outcome attempt(const std::function<std::string()>& action);

// Everybody's payload in rank order, or the Error of the lowest rank that has one, naming `step`
// and that rank. Collective.
std::vector<std::string> agree(const Outcome& mine, int64_t step, Bootstrap& bootstrap);

// Rank 0's payload, or its Error. Collective; the outcome of other ranks is not looked at.
std::string agree_with_rank_zero(const Outcome& mine, int64_t step, Bootstrap& bootstrap);

}  // namespace weft
