// StopSignal: a signal asks a training run for a clean end after the current step.
//
//   StopSignal stop;        // before anything starts a thread
//   ...                     // a signal ends the program, as it does any other
//   stop.listen();          // the run has something to save
//   while (!stop.requested()) step();
//
// Signals are taken by a thread that does nothing else, and never by a handler: the kernel runs a
// handler on whatever thread it likes, and a matrix product may have that thread's stack pointer in
// a buffer on the heap (docs/decisions/0022-a-thread-takes-signals.md).
#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <string_view>
#include <thread>

#include "launch/host/stop_signals.h"

namespace weft {

// Whether another signal ends the program. Those that insist do, at least a second after the first
// of them: one Ctrl-C may arrive twice, from the terminal and from a launcher that passes it on.
class Insistence {
 public:
  using Time = std::chrono::steady_clock::time_point;
  bool ends_program(const StopSignalKind& signal, Time now);

 private:
  std::optional<Time> first_;
};

class StopSignal {
 public:
  // Blocks stop_signals_to_take() in the calling thread and those it starts from now on, and starts
  // the thread that takes them. For the main thread, as long as there is no other; one at a time.
  StopSignal();
  // They stay blocked: one that comes when the run is over changes nothing about how it ended.
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  // From now on the first signal is a request, and another one ends the program as Insistence says.
  // Any rank that is a thread may call this; once is enough.
  void listen() { listening_ = true; }
  bool requested() const { return received_ != 0; }
  std::string_view name() const;  // of the first signal, once requested

 private:
  void take();
  void note(int signal);

  int arrivals_ = -1;  // signalfd: unlike sigwait, it leaves the mask of who waits as it is
  std::atomic<bool> listening_{false};
  std::atomic<bool> over_{false};
  std::atomic<int> received_{0};
  Insistence insistence_;  // the thread's alone
  std::thread thread_;     // last: it uses the rest
};

}  // namespace weft
