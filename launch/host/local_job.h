// LocalJob: the ranks of a job on this host as child processes, from their start to the end of all.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weft {

struct LocalJob {
  std::vector<std::string> command;  // program and arguments of every rank
  int ranks = 1;                     // on this host
  int first_rank = 0;
  int world_size = 1;  // on all hosts
  std::string master_host = "127.0.0.1";
  uint16_t master_port = 0;  // 0: a free one, for jobs of this host alone
};

// Starts the ranks with RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT
// in their environment and waits for all. Signals that ask for an end (stop_signals.h) are passed
// on. When a rank fails, the others get some seconds to notice and are then ended. Returns 0, or
// the exit code of a rank that failed, the first that did for a reason of its own (not a peer
// error) if there is one; 128 + N for one that signal N has killed. Says so on standard error.
// Throws Error{environment} when a process cannot be started. For the main thread, once at a time.
int run_local_job(const LocalJob& job);

}  // namespace weft
