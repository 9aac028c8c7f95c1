// The signals by which people, terminals and batch systems ask a job to end.
#pragma once

#include <csignal>
#include <span>
#include <string_view>

namespace weft {

struct StopSignalKind {
  int number;
  std::string_view name;
  // Sent by somebody who means it: taken even where this process was started with the signal
  // ignored, as a shell does with SIGINT for what it runs in the background; a second one ends the
  // program. The others are warnings, which may come again and again: SIGXCPU does every second.
  bool insists;
};

std::span<const StopSignalKind> stop_signals();
// The row of one of them.
const StopSignalKind& stop_signal(int number);

// Those to take in this process: all but the warnings it was started to ignore (nohup). A handler
// that a library has installed for one of them is taken away.
sigset_t stop_signals_to_take();

// Ends this process as the signal does where nobody takes it.
[[noreturn]] void end_by_signal(int number);

}  // namespace weft
