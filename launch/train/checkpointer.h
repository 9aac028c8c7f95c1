// Checkpointer: the checkpoints of one run. Training stands still for the copy into the engine's
// snapshot alone; the last checkpoint, and all of them without checkpoint.async, are waited for.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/async_save.h"
#include "core/checkpoint/checkpoint.h"
#include "launch/step/engine.h"
#include "launch/step/run_state.h"
#include "launch/train/checkpoint_cost.h"

namespace weft {

// All ranks make the same calls. A checkpoint that cannot be written is a warning and the run's
// exit code, no more: training is worth more than it, and the one before is untouched. Errors of
// other kinds are thrown, on every rank.
class Checkpointer {
 public:
  using Print = std::function<void(const std::string&)>;

  // Everything borrowed. `hooks` may be null.
  Checkpointer(const RunConfig& config, Engine& engine, Device& device, Stream& compute,
               Bootstrap& bootstrap, WriteHooks* hooks);

  // Rank 0, before the first save: the run's lock, what travels along, and where notices go.
  void open(const DirectoryLock& lock, std::vector<Attachment> attachments, Print print);

  // This rank's vote for Engine::step, and what its sum says afterwards.
  int vote() const { return async_ ? async_->vote() : 0; }
  void advance(int64_t votes);

  // Saves the state that the engine is in, beside training where the configuration says so. A save
  // that is still in flight is waited for first.
  void save(const RunState& state);
  // Waits for the save in flight, if any.
  void settle();
  // Settles, and saves the state unless that was the last one saved. Waits.
  void finish(const RunState& state);

  // A finite loss and gradient have shown that the weights of `step` and before are good. Until
  // then a checkpoint takes no other one's place.
  void prove(int64_t step);
  // Removes what was saved of weights that turned out to give no finite loss or gradient.
  void take_back_unproven();

  void set_saved(int64_t step) { saved_step_ = step; }  // there is a checkpoint of it already
  CheckpointCost take_cost();                           // of this rank, since it was asked last
  int exit_code() const { return exit_code_; }          // 0 unless the last save failed

 private:
  void guard(int64_t step, const std::function<std::optional<SaveResult>()>& action);
  SaveRequest request(const RunState& state, std::span<const Shard> shards) const;
  void save_beside_training(const RunState& state);
  void save_now(const RunState& state);
  void print(const std::string& line) const;
  Retention retention() const;

  const RunConfig& config_;
  Engine& engine_;
  Device& device_;
  Stream& compute_;
  Bootstrap& bootstrap_;
  WriteHooks* hooks_;
  const DirectoryLock* lock_ = nullptr;
  std::vector<Attachment> attachments_;
  Print print_;

  int64_t saved_step_ = -1;
  std::atomic<int64_t> proven_{-1};
  std::vector<int64_t> unproven_;  // of those published by this run, ascending
  int64_t step_in_flight_ = -1;
  CheckpointCost cost_;
  int exit_code_ = 0;
  std::unique_ptr<Event> copied_;
  std::optional<AsyncSave> async_;  // with saves_beside_training()
};

// Hooks that act on rank `rank` of a run; null where `text`, "RANK:ACTION@CALL"
// (parse_write_hooks), names another or is empty. Throws Error{usage} on anything else.
std::unique_ptr<WriteHooks> write_hooks_of(const std::string& text, int rank);

}  // namespace weft
