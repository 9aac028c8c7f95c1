// The ranks of a job are one program.
#pragma once

#include <string>
#include <vector>

#include "core/mesh/communicator.h"

namespace weft {

// What a rank tells the others of its program.
struct RankProgram {
  std::string host;
  std::string version;
};

// Throws Error{environment} naming the first rank that runs another program than rank 0, both
// programs and both hosts. `programs` are the ranks', in rank order.
void require_same(const std::vector<RankProgram>& programs);

// 0 if all ranks run the program that rank 0 runs; otherwise rank 0 says who does not, and every
// rank gets the exit code. Collective; the first thing that ranks talk about, as programs of two
// versions need not agree about anything else.
int require_one_program(Bootstrap& bootstrap);

}  // namespace weft
