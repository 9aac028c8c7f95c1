// Contention: how much of the time that this process's threads could have computed other work had
// the cores. Figures of speed say nothing of a machine while it is high.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace weft {

struct CoreTime {
  // Of the time that the threads of this process were running or ready to, the share that they
  // waited for a core: behind other programs, or behind each other where they are too many.
  double waiting = 0;
  double stolen = 0;  // share of the machine's time that its hypervisor gave to others
  // Whether figures of speed are worth little.
  bool busy() const { return waiting > 0.1 || stolen > 0.05; }
};
// "threads waited 35 % of their time for a core", with what the hypervisor took where that counts.
std::string to_text(const CoreTime& time);

class Contention {
 public:
  // Reads /proc, below `root` for tests; where that says nothing, nothing is known.
  explicit Contention(std::string root = "");

  // Since the last look, or since it was made; nothing where that is too short a time to say.
  std::optional<CoreTime> look();

 private:
  struct Reading {
    int64_t ran = 0, waited = 0;  // nanoseconds, of all threads of this process
    int64_t all = 0, stolen = 0;  // ticks of the machine's cores
  };
  Reading read() const;

  std::string root_;
  Reading last_;
};

}  // namespace weft
