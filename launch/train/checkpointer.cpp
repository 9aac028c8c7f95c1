#include "launch/train/checkpointer.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/checkpoint/publish.h"
#include "core/checkpoint/retention.h"
#include "launch/host/version.h"

namespace weft {
namespace {

// Adds its own life to a number of seconds.
class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds) {}
  ~Stopwatch() { seconds_ += so_far(); }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  double so_far() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  double& seconds_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace

Checkpointer::Checkpointer(const RunConfig& config, Engine& engine, Device& device, Stream& compute,
                           Bootstrap& bootstrap, WriteHooks* hooks)
    : config_(config),
      engine_(engine),
      device_(device),
      compute_(compute),
      bootstrap_(bootstrap),
      hooks_(hooks),
      copied_(device.make_event()) {
  if (!config.saves_beside_training()) return;
  async_.emplace(bootstrap);
  // Touches the pages of the snapshot, so that the first checkpoint stalls no longer than others.
  engine.snapshot().take(shards_of(engine.parameters(), engine.optimizer()), device, compute);
}

void Checkpointer::open(const DirectoryLock& lock, std::vector<Attachment> attachments,
                        Print print) {
  lock_ = &lock;
  attachments_ = std::move(attachments);
  print_ = std::move(print);
}

void Checkpointer::print(const std::string& line) const {
  if (print_) print_(line);
}

// Runs a part of saving `step`; says what came of it when it is over.
void Checkpointer::guard(int64_t step, const std::function<std::optional<SaveResult>()>& action) {
  try {
    const std::optional<SaveResult> result = action();
    if (!result) return;
    saved_step_ = step;
    exit_code_ = 0;
    if (step > proven_) unproven_.push_back(step);
    cost_.write_seconds += result->seconds;
    cost_.bytes += result->bytes;
    for (const std::string& notice : result->notices) print("WARNING: " + notice);
    print(fmt::format("checkpoint {} ({:.1f} MiB in {:.2f} s)", result->path,
                      static_cast<double>(result->bytes) / (1 << 20), result->seconds));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::io) throw;
    exit_code_ = weft::exit_code(ErrorKind::io);
    print(fmt::format("WARNING: checkpoint not saved: {}", error.what()));
  }
}

void Checkpointer::prove(int64_t step) {
  proven_ = step;
  const bool newly = std::erase_if(unproven_, [&](int64_t saved) { return saved <= step; }) > 0;
  // With keep_last 1 the one before has been kept beside it so far.
  if (!newly || lock_ == nullptr || config_.checkpoint.keep_last != 1) return;
  FileWriter writer(hooks_);
  for (const std::string& notice :
       tidy(config_.checkpoint_directory(), saved_step_, retention(), writer)) {
    print("WARNING: " + notice);
  }
}

void Checkpointer::take_back_unproven() {
  for (const int64_t step : std::exchange(unproven_, {})) {
    if (lock_ == nullptr) continue;
    try {
      FileWriter writer(hooks_);
      take_back(config_.checkpoint_directory(), step, writer);
      print(fmt::format("checkpoint of step {} is removed: nothing can go on from its weights",
                        step));
    } catch (const Error& error) {
      print(fmt::format(
          "WARNING: checkpoint of step {} has no good weights and cannot be removed: {}", step,
          error.what()));
    }
  }
}

void Checkpointer::advance(int64_t votes) {
  if (!async_ || !async_->in_flight()) return;
  const Stopwatch stall(cost_.stall_seconds);
  guard(step_in_flight_, [&] { return async_->advance(votes); });
}

void Checkpointer::save(const RunState& state) {
  if (!async_) return save_now(state);
  if (async_->in_flight()) {
    double waited = 0;
    const int64_t before = step_in_flight_;
    {
      const Stopwatch wait(waited);
      settle();
    }
    print(fmt::format(
        "WARNING: training waited {:.2f} s: the checkpoint of step {} was still being written when "
        "that of step {} was due; raise checkpoint.interval ({})",
        waited, before, state.step, config_.checkpoint.interval));
  }
  save_beside_training(state);
}

void Checkpointer::settle() {
  if (!async_ || !async_->in_flight()) return;
  const Stopwatch stall(cost_.stall_seconds);
  guard(step_in_flight_, [&] { return async_->wait(); });
}

void Checkpointer::finish(const RunState& state) {
  settle();
  if (saved_step_ != state.step) save_now(state);
}

CheckpointCost Checkpointer::take_cost() { return std::exchange(cost_, {}); }

Retention Checkpointer::retention() const {
  return {.keep_last = static_cast<int>(config_.checkpoint.keep_last),
          .keep_every = config_.checkpoint.keep_every,
          .proven = &proven_};
}

SaveRequest Checkpointer::request(const RunState& state, std::span<const Shard> shards) const {
  return {.directory = config_.checkpoint_directory(),
          .step = state.step,
          .shards = shards,
          .run_state_json = to_json(state),
          .code_version = std::string(version()),
          .attachments = attachments_,
          .retention = retention(),
          .lock = lock_,
          .hooks = hooks_};
}

void Checkpointer::save_beside_training(const RunState& state) {
  const Stopwatch stall(cost_.stall_seconds);
  const std::vector<Shard> shards = engine_.snapshot().take(
      shards_of(engine_.parameters(), engine_.optimizer()), device_, compute_);
  compute_.record(*copied_);
  step_in_flight_ = state.step;
  guard(state.step, [&]() -> std::optional<SaveResult> {
    async_->begin(request(state, shards), *copied_);
    return std::nullopt;
  });
}

void Checkpointer::save_now(const RunState& state) {
  const Stopwatch stall(cost_.stall_seconds);
  std::vector<Shard> shards = shards_of(engine_.parameters(), engine_.optimizer());
  if (device_.kind() == DeviceKind::cuda) {
    shards = engine_.snapshot().take(std::move(shards), device_, compute_);
    compute_.synchronize();
  }
  guard(state.step, [&] { return save_checkpoint(request(state, shards), bootstrap_); });
}

std::unique_ptr<WriteHooks> write_hooks_of(const std::string& text, int rank) {
  if (text.empty()) return nullptr;
  int named = -1;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, named);
  if (error != std::errc() || named < 0 || stop == end || *stop != ':') {
    fail(ErrorKind::usage, "write fault '{}' is not RANK:ACTION@CALL", text);
  }
  auto hooks = parse_write_hooks(std::string_view(stop + 1, end));
  return named == rank ? std::move(hooks) : nullptr;
}

}  // namespace weft
