// AsyncSave: a save beside the training loop. Digests, writes, syncs and the publishing run on one
// I/O thread per rank; what the ranks have to exchange goes through the main thread, at moments
// that all of them know to be the same.
//
//   AsyncSave save(bootstrap);
//   save.begin(request, copied);
//   ...                                  // each step sums save.vote() over all ranks, on the way
//   if (auto saved = save.advance(sum))  // published
//
// No rank waits for another one's disk, and none for its own, except in wait().
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/agreement.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/io_thread.h"
#include "core/device/device.h"

namespace weft {

// All ranks make the same calls, from their main threads.
class AsyncSave {
 public:
  explicit AsyncSave(Bootstrap& bootstrap) : bootstrap_(bootstrap) {}
  // Waits for what the I/O thread does. A save that nobody advanced that far is not published.
  ~AsyncSave() = default;
  AsyncSave(const AsyncSave&) = delete;
  AsyncSave& operator=(const AsyncSave&) = delete;

  // Begins a save, when none is in flight. The data of the shards is read from when `copied` has
  // completed until the save is over; so are lock, hooks and `copied`. The rest of the request is
  // copied. Collective, and short: rank 0 makes a directory. Throws as save_checkpoint does.
  void begin(const SaveRequest& request, Event& copied);

  bool in_flight() const { return save_ != nullptr; }

  // What this rank adds to the sum that advance() is given: 1 when nothing of the save is left to
  // do for its I/O thread, which the others have to know, else 0.
  int vote() const;

  // Takes the save in flight, if any, as far as it gets without waiting. `votes` is the sum of
  // vote() over the ranks at one moment, the same everywhere. Returns the result when the
  // checkpoint is published; its `seconds` are those from begin() until then. A save that failed is
  // over and throws the same Error on every rank.
  std::optional<SaveResult> advance(int64_t votes);

  // Waits for the save in flight; its result as of advance(). Collective.
  SaveResult wait();

 private:
  // What one save needs for as long as it is in flight.
  struct Save {
    SaveRequest request;
    std::vector<Shard> shards;
    std::vector<Attachment> attachments;
    std::optional<DirectoryLock> lock;
    std::string staged;
    std::chrono::steady_clock::time_point start;
    bool committing = false;  // all ranks have written, rank 0 publishes
    std::vector<std::string> parts;
    // Of the job of the I/O thread; read when that is idle.
    Outcome outcome;
    std::vector<std::string> notices;
  };

  bool first() const;
  int64_t votes_needed() const;
  void begin_commit();
  SaveResult end_commit();

  Bootstrap& bootstrap_;
  std::unique_ptr<Save> save_;
  IoThread io_;  // destroyed first: its job uses the rest
};

}  // namespace weft
