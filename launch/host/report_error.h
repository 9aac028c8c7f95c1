// The last thing a failing rank says, and the exit code it leaves with (docs/exit_codes.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace weft {

// A process's place among those started together.
struct RankInWorld {
  int rank = 0;
  int size = 1;
  std::string host = {};  // said where another rank reports for this one
};

// Looks up one environment variable: its value, or nullptr. std::getenv is one.
using GetVariable = const char* (*)(const char* name);

// The place that a launcher announced in the environment: Open MPI's mpirun, RANK and WORLD_SIZE,
// or Slurm (which also covers PMIx under srun). Nothing without a launcher, or when the two numbers
// do not make sense together. Says nothing about what was joined: it is for messages, which must be
// attributable even when joining is what failed.
std::optional<RankInWorld> announced_rank(GetVariable get);

// "weft: KIND: MESSAGE\n", with "[rank R/N] " or "[rank R/N on HOST] " in front when N > 1.
std::string error_line(ErrorKind kind, std::string_view message, std::optional<RankInWorld> place);

// Any exception as what it means to the user: an Error as it is; what the file system or the
// machine refused by its cause (permission, space, a path that cannot be); everything else is a bug
// of ours.
Error as_error(const std::exception& exception);

// Writes error_line to standard error in one piece, so that the lines of several ranks do not mix,
// and returns exit_code(kind). The first says it of this process, wherever its launcher put it.
int report_error(ErrorKind kind, std::string_view message);
int report_error(ErrorKind kind, std::string_view message, const RankInWorld& place);

// The same for a command whose output is not all there (standard_streams.h).
int report_lost_output(std::string_view reason);

// Within a catch: reports the exception as the error that it is.
int report_current_exception();

}  // namespace weft
