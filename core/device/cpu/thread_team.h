// The threads that a CPU rank computes with: OpenMP's team of the thread that calls, which its
// environment may make smaller, slower or impossible.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft {

// What the calling thread's team turned out to be.
struct TeamReport {
  int asked = 0;
  int threads = 0;          // that took part
  int cores = 0;            // on which they may run, all of them together; 0 where not known
  int64_t stack_bytes = 0;  // the smallest stack among the threads made for it; 0 for none
};

// Makes OpenMP give the calling thread the teams that are asked for, as far as that can be set from
// here: teams are not shrunk by load (OMP_DYNAMIC), and there may be one at all
// (OMP_MAX_ACTIVE_LEVELS). A library that asks OpenMP for its own number of threads gets one.
void claim_threads();

// Starts the team of `threads` threads that the calling thread will compute with and looks at it.
// Throws Error{environment}, naming the variable or limit, where the operating system does not give
// that many threads. Of several ranks in one process one looks at a time, and each team stays: what
// all of them need together is needed here.
TeamReport start_team(int threads);

// Throws Error{environment}, naming the variables at fault, where the team is smaller than asked or
// its stacks are too small to compute on.
void require_team(const TeamReport& report);

// A line for people where the team is right but slow, its threads being kept on fewer cores; empty
// where there is nothing to say.
std::string crowding(const TeamReport& report);

// The most threads that a team may have by the environment (OMP_THREAD_LIMIT); nothing for no
// limit.
std::optional<int> thread_limit();

// Bytes of an OMP_STACKSIZE ("512k", "8 M", "4096", which is KiB); nothing for other text.
std::optional<int64_t> parse_stack_size(std::string_view text);

}  // namespace weft
