#include "launch/train/trainer.h"

#include <chrono>
#include <filesystem>
#include <fstream>

#include "core/base/directories.h"
#include "core/mesh/mesh.h"
#include "core/model/gpt_specs.h"
#include "launch/config/load.h"
#include "launch/host/contention.h"
#include "launch/host/machine.h"
#include "launch/host/report_error.h"
#include "launch/host/stop_signal.h"
#include "launch/show/progress.h"
#include "launch/step/bf16_choice.h"
#include "launch/step/cpu_threads.h"
#include "launch/step/engine.h"
#include "launch/step/peak.h"
#include "launch/step/rank_machine.h"
#include "launch/step/require_memory.h"
#include "launch/train/checkpoint_room.h"
#include "launch/train/checkpointer.h"
#include "launch/train/load_weights.h"
#include "launch/train/loss_curve.h"
#include "launch/train/metrics.h"
#include "launch/train/prepare_run.h"
#include "optim/schedule.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// One rank's training loop. Files and the terminal are rank 0's.
class TrainingRun {
 public:
  TrainingRun(PreparedRun prepared, const TrainOptions& options, Bootstrap& bootstrap);
  int load();    // collective: what the run continues from or begins with; an exit code
  void begin();  // run directory
  int run();

 private:
  bool root() const { return bootstrap_.rank() == 0; }
  std::vector<SpanRecorder::Lane> streams() const;
  SpanRecorder* recorder() { return trace_ == nullptr ? nullptr : &trace_->recorder(); }
  int resume();
  int begin_with_weights();
  void require_continuation(const CheckpointReader& reader);
  void open_run_directory();
  void one_step();
  StepResult update_weights(int64_t update, double lr);
  void report_skipped(int64_t step);
  void evaluate(StepMetrics& metrics);
  void make_up_evaluation();
  void report(const StepMetrics& metrics);
  void save_if_due(bool skipped);
  void look_at_cores();
  void save();
  int train_to_the_end();
  int give_up(const SharedError& error);
  void finish(const std::string& stopped_by);
  void draw_loss_curve();
  void require_run_directory();
  int64_t last_step() const;
  bool asked_to_stop() const { return options_.stop != nullptr && options_.stop->requested(); }
  std::string who_stopped();

  PreparedRun prepared_;
  const TrainOptions& options_;
  Bootstrap& bootstrap_;
  const RunConfig& config_;
  RankMachine machine_;
  std::unique_ptr<RunTrace> trace_;
  Mesh mesh_;
  std::unique_ptr<Engine> engine_;
  FillSample fill_train_, fill_validation_;

  // Rank 0 only.
  std::optional<DirectoryLock> run_lock_, lock_;
  std::optional<MetricsFile> metrics_file_;
  std::optional<LiveLine> line_;
  bool has_lost_directory_ = false;

  RunState state_;
  std::optional<JobPeak> peak_;
  std::optional<Contention> contention_;
  std::optional<CoreTime> core_time_;  // of the last second
  Clock::time_point looked_;
  double mean_step_seconds_ = 0;
  bool stop_ = false;
  bool save_is_due_ = false;
  int64_t begun_at_ = 0;  // the step that this process goes on from
  const std::function<bool()> wants_stop_ = [this] { return asked_to_stop(); };
  bool said_busy_ = false;
  std::unique_ptr<WriteHooks> write_hooks_;
  // Last, as what it still writes is others': the state in the engine, under the lock.
  std::optional<Checkpointer> checkpoints_;
};

TrainingRun::TrainingRun(PreparedRun prepared, const TrainOptions& options, Bootstrap& bootstrap)
    : prepared_(std::move(prepared)),
      options_(options),
      bootstrap_(bootstrap),
      config_(prepared_.config),
      machine_(config_, compute_threads(config_.cpu, bootstrap), bootstrap),
      trace_(options.trace ? std::make_unique<RunTrace>(*options.trace, *machine_.device, streams())
                           : nullptr),
      mesh_(machine_.groups(), config_.mesh.shape(bootstrap.size()),
            trace_ ? trace_->decorate() : Mesh::Decorate(), config_.pipeline.chain_shape()) {
  const RankResources rank =
      machine_.resources(mesh_, trace_ ? trace_->observe(*machine_.ops) : *machine_.ops);
  engine_ = std::make_unique<Engine>(config_, rank, [&](const std::vector<SegmentBytes>& plan) {
    require_memory(plan, machine_.memory_on_offer());
  });
  write_hooks_ = write_hooks_of(options.write_fault, bootstrap.rank());
  checkpoints_.emplace(config_, *engine_, *machine_.device, *machine_.compute, bootstrap,
                       write_hooks_.get());
  fill_train_ = [this](int64_t sample, std::span<int32_t> inputs, std::span<int32_t> targets) {
    prepared_.train->fill(sample, inputs, targets);
  };
  if (prepared_.validation) {
    fill_validation_ = [this](int64_t sample, std::span<int32_t> inputs,
                              std::span<int32_t> targets) {
      prepared_.validation->fill(sample, inputs, targets);
    };
  }
}

std::vector<SpanRecorder::Lane> TrainingRun::streams() const {
  std::vector<SpanRecorder::Lane> streams{{"compute", machine_.compute.get()},
                                          {"communication", machine_.communication.get()}};
  for (const AxisInfo& a : kAxes) {
    Stream* side = machine_.sides[a.axis].get();
    if (side != nullptr) streams.push_back({std::string(a.title), side});
  }
  return streams;
}

int TrainingRun::load() {
  state_ = state_of(prepared_, 0);
  if (!prepared_.resume_path.empty()) return resume();
  return prepared_.weights_path.empty() ? 0 : begin_with_weights();
}

int TrainingRun::begin_with_weights() {
  const int code = agree(bootstrap_, [&] {
    const CheckpointReader reader = CheckpointReader::open(prepared_.weights_path);
    require_weights(reader, config_);
    load_weights(reader, config_.load, engine_->parameters(), *machine_.device, *machine_.compute);
  });
  if (code == 0) engine_->restore({});
  return code;
}

int TrainingRun::resume() {
  while (!prepared_.resume_path.empty()) {
    std::optional<CheckpointReader> reader;
    std::optional<Failure> damage = first_failure(
        bootstrap_, [&] { reader.emplace(CheckpointReader::open(prepared_.resume_path)); });
    if (!damage) {
      if (int code = agree(bootstrap_, [&] { require_continuation(*reader); })) return code;
      damage = first_failure(bootstrap_, [&] {
        load_parameters(*reader, engine_->parameters(), &engine_->optimizer(), *machine_.device,
                        *machine_.compute);
      });
    }
    if (!damage) {
      engine_->restore(state_.updates);
      break;
    }
    // What only one rank has read may be damaged: all go back to the same older checkpoint.
    std::string older;
    const auto go_back = [&] {
      if (root()) older = find_older(prepared_, *damage);
    };
    if (int code = agree(bootstrap_, go_back)) return code;
    prepared_.resume_path = bootstrap_.broadcast(older, 0);
  }
  return 0;
}

// Takes over what a checkpoint says of the run, once it is one that this run can continue.
void TrainingRun::require_continuation(const CheckpointReader& reader) {
  require_optimizer_state(reader);
  const RunState saved = run_state_of(reader);
  require_same_run(saved, prepared_);
  require_model(reader, engine_->parameters(), &engine_->optimizer());
  if (root()) prepared_.changes = changes_since(reader, config_);
  state_.updates = saved.updates;
  state_.step = saved.step;
  state_.consumed_samples = saved.consumed_samples;
  state_.best_validation_loss = saved.best_validation_loss;
  state_.best_step = saved.best_step;
  state_.evaluation_is_owed = saved.evaluation_is_owed;
  checkpoints_->set_saved(saved.step);
}

void TrainingRun::begin() {
  begun_at_ = state_.step;
  if (trace_) trace_->plan(state_.step + 1, last_step(), root());
  if (!root()) return;
  line_.emplace(stdout, Window([] { return find_terminal(1); }), config_.train.log_interval);
  open_run_directory();
}

void TrainingRun::open_run_directory() {
  const std::string directory = config_.run_directory();
  const std::string for_checkpoints = config_.checkpoint_directory();
  lock_.emplace(for_checkpoints);
  make_directories(directory);
  // One run at a time, wherever its checkpoints go.
  std::error_code error;
  if (!fs::equivalent(directory, for_checkpoints, error)) run_lock_.emplace(directory);
  std::ofstream config_file(directory + "/config.yaml");
  config_file << to_yaml(config_);
  if (!config_file.flush()) {
    fail(ErrorKind::environment,
         "cannot write to the run directory {}; choose another output.directory", directory);
  }
  std::vector<Attachment> attachments;
  for (TokenizerFile& file : prepared_.tokenizer_files) {
    attachments.push_back({std::move(file.name), std::move(file.bytes)});
  }
  attachments.push_back({kAttachedConfig, to_yaml(config_)});
  checkpoints_->open(*lock_, std::move(attachments),
                     [this](const std::string& line) { line_->print(line); });
  metrics_file_.emplace(directory + "/metrics.jsonl", config_.name, prepared_.notices);
  const int64_t boxes =
      std::ssize(shards_of(engine_->parameters(), engine_->optimizer())) * bootstrap_.size();
  const std::string room =
      room_notice(config_, most_checkpoints(config_, state_.step, last_step()),
                  checkpoint_bytes(engine_->parameters(), engine_->optimizer(), boxes));
  for (const std::string& notice : {lock_->notice(), room}) {
    if (!notice.empty()) line_->print("WARNING: " + notice);
  }
  for (const std::string& notice : prepared_.notices) line_->print("WARNING: " + notice);
  for (const std::string& notice : machine_.device->notices()) line_->print("WARNING: " + notice);
  line_->print(fmt::format(
      "{}: {} parameters, {} rank{} ({}), batch {} x {} tokens in {} micro-batch{} per rank",
      config_.name, engine_->parameters().global_elements(), bootstrap_.size(),
      bootstrap_.size() == 1 ? "" : "s", machine_.device->description(), config_.train.batch_size,
      config_.sequence_length(), engine_->micro_batches(),
      engine_->micro_batches() == 1 ? "" : "es"));
  for (const std::string& fact : prepared_.facts) line_->print(fact);
  if (!prepared_.resume_path.empty()) {
    line_->print(fmt::format("resumed from {} at step {}", prepared_.resume_path, state_.step));
    for (const std::string& change : prepared_.changes) line_->print("WARNING: " + change);
  } else if (!prepared_.weights_path.empty()) {
    line_->print(fmt::format("begins with the weights of {}", prepared_.weights_path));
  } else if (options_.resume) {
    line_->print(fmt::format("{} holds no checkpoint: begins at step 1", for_checkpoints));
  }
}

int64_t TrainingRun::last_step() const {
  const int64_t steps = config_.train.steps;
  return options_.stop_after ? std::min(steps, *options_.stop_after) : steps;
}

int TrainingRun::run() {
  if (options_.stop != nullptr) options_.stop->listen();
  peak_.emplace(*machine_.device, *machine_.compute, config_.compute_type(),
                config_.cpu.bf16_products, bootstrap_);
  if (root()) contention_.emplace();
  if (const int code = train_to_the_end()) return code;
  peak_->keep();
  const std::string stopped_by = stop_ ? who_stopped() : "";
  if (root()) finish(stopped_by);
  if (trace_) {
    const std::string line = trace_->write(mesh_, bootstrap_);
    if (root()) line_->print(line);
  }
  bootstrap_.barrier();
  return has_lost_directory_ ? exit_code(ErrorKind::io) : checkpoints_->exit_code();
}

int TrainingRun::train_to_the_end() {
  try {
    if (state_.evaluation_is_owed && prepared_.validation) make_up_evaluation();
    while (state_.step < last_step() && !stop_) one_step();
  } catch (const SharedError& error) {
    return give_up(error);
  } catch (...) {
    // Other ranks wait for this one in the middle of a step; alone, what is in flight can be saved.
    if (bootstrap_.size() == 1) checkpoints_->settle();
    throw;
  }
  const Phase phase(recorder(), "checkpoint", *machine_.compute);
  checkpoints_->finish(state_);
  return 0;
}

// Ends a run whose step failed on every rank, once the checkpoint in flight is there: what was
// saved before is good. Where samples could not be read, that is the cause, and the loss that is no
// number its consequence on the other ranks.
int TrainingRun::give_up(const SharedError& error) {
  std::optional<Failure> cause = first_failure(bootstrap_, [&] {
    if (error.kind() != ErrorKind::diverged) throw error;
  });
  const bool diverged = !cause;
  if (diverged) cause = first_failure(bootstrap_, [&] { throw error; });
  checkpoints_->settle();
  if (diverged) checkpoints_->take_back_unproven();
  if (root()) {
    line_->finish();
    std::string message = cause->message;
    if (diverged && state_.step == begun_at_ && !prepared_.resume_path.empty()) {
      message += fmt::format("; {} itself cannot be gone on from: remove it, or name an older one",
                             prepared_.resume_path);
    }
    report_error(cause->kind, message,
                 {.rank = cause->rank, .size = bootstrap_.size(), .host = cause->host});
  }
  return exit_code(cause->kind);
}

// The signal that asked for an end, on whichever rank. Collective.
std::string TrainingRun::who_stopped() {
  for (const std::string& name :
       bootstrap_.all_gather(asked_to_stop() ? std::string(options_.stop->name()) : "")) {
    if (!name.empty()) return name;
  }
  return "a signal";
}

void TrainingRun::one_step() {
  const Clock::time_point begin = Clock::now();
  const int64_t update = state_.step + 1;
  if (trace_) trace_->before_step(update);
  StepMetrics metrics;
  metrics.step = update;
  metrics.lr = learning_rate(config_.schedule, update, config_.train.steps);
  const StepResult result = update_weights(update, metrics.lr);
  metrics.step_seconds = seconds_since(begin);
  metrics.loss = result.loss;
  metrics.grad_norm = result.grad_norm;
  metrics.loss_scale = result.loss_scale;
  state_.updates = engine_->update_state();
  metrics.skipped_steps = state_.updates.skipped;
  if (result.skipped) {
    report_skipped(update);
  } else {
    checkpoints_->prove(update - 1);
  }
  stop_ = result.stop;
  state_.step = update;
  state_.evaluation_is_owed = false;
  state_.consumed_samples += config_.train.batch_size;
  metrics.consumed_samples = state_.consumed_samples;
  checkpoints_->advance(result.votes);
  metrics.checkpoints = checkpoints_->take_cost();
  const int64_t interval = config_.train.eval_interval;
  if (prepared_.validation && (update % interval == 0 || update == last_step())) {
    evaluate(metrics);
  }
  report(metrics);
  save_if_due(result.skipped);
}

// Where steps are skipped, whether the weights are any good will show at the next one that is not.
void TrainingRun::save_if_due(bool skipped) {
  const int64_t every = config_.checkpoint.interval;
  if (every > 0 && state_.step % every == 0) save_is_due_ = true;
  const bool last = stop_ || state_.step == last_step();  // saved when the loop has ended
  if (!save_is_due_ || skipped || last) return;
  save_is_due_ = false;
  save();
}

StepResult TrainingRun::update_weights(int64_t update, double lr) {
  const Phase phase(recorder(), fmt::format("step {}", update), *machine_.compute);
  return engine_->step(update, lr, state_.consumed_samples, fill_train_, asked_to_stop(),
                       checkpoints_->vote());
}

void TrainingRun::report_skipped(int64_t step) {
  if (!root()) return;
  line_->print(fmt::format("step {}: gradients are not finite, no update; loss scale is now {}",
                           step, *state_.updates.loss_scale));
}

void TrainingRun::evaluate(StepMetrics& metrics) {
  const Phase phase(recorder(), "evaluation", *machine_.compute);
  std::optional<double> loss;
  if (!stop_) {
    loss = engine_->evaluate(prepared_.validation_samples, fill_validation_, wants_stop_);
    stop_ = !loss;
  }
  state_.evaluation_is_owed = !loss;
  if (!loss) return;
  checkpoints_->prove(metrics.step);
  metrics.validation_loss = loss;
  if (!state_.best_validation_loss || *loss < *state_.best_validation_loss) {
    state_.best_validation_loss = loss;
    state_.best_step = metrics.step;
  }
}

// What was given up when the run was stopped after the step that it goes on from.
void TrainingRun::make_up_evaluation() {
  StepMetrics metrics;
  metrics.step = state_.step;
  evaluate(metrics);
  if (!metrics.validation_loss) return;
  checkpoints_->set_saved(-1);  // what there is does not know of it
  if (!root()) return;
  line_->print(fmt::format("validation loss {:.4f} of step {}, whose evaluation had been given up",
                           *metrics.validation_loss, metrics.step));
  if (const auto notice = metrics_file_->write_again(metrics.step, *metrics.validation_loss)) {
    line_->print("WARNING: " + *notice);
  }
}

void TrainingRun::report(const StepMetrics& given) {
  if (!root()) return;
  StepMetrics metrics = given;
  const auto length = static_cast<double>(config_.sequence_length());
  const double tokens = static_cast<double>(config_.train.batch_size) * length;
  metrics.consumed_tokens = metrics.consumed_samples * config_.sequence_length();
  metrics.tokens_per_second = tokens / metrics.step_seconds;
  const double flops = flops_per_token(config_.model, config_.sequence_length());
  peak_->reached(metrics.tokens_per_second * flops);
  metrics.utilization = metrics.tokens_per_second * flops / peak_->flops_per_second();
  look_at_cores();
  if (core_time_) metrics.core_wait = core_time_->waiting;
  if (const auto notice = metrics_file_->write(metrics)) line_->print("WARNING: " + *notice);
  constexpr double kKeep = 0.9;  // of the running mean, per step
  mean_step_seconds_ = mean_step_seconds_ == 0
                           ? metrics.step_seconds
                           : kKeep * mean_step_seconds_ + (1 - kKeep) * metrics.step_seconds;
  // Speed and share are of the same steps.
  const double tokens_per_second = tokens / mean_step_seconds_;
  std::optional<double> peak_share = tokens_per_second * flops / peak_->flops_per_second();
  std::optional<double> core_wait;
  if (core_time_ && core_time_->busy()) {
    peak_share.reset();
    core_wait = std::max(core_time_->waiting, core_time_->stolen);
  }
  line_->show(
      {.step = metrics.step,
       .steps = last_step(),
       .loss = metrics.loss,
       .validation_loss = metrics.validation_loss,
       .learning_rate = metrics.lr,
       .gradient_norm = metrics.grad_norm,
       .tokens_per_second = tokens_per_second,
       .peak_share = peak_share,
       .core_wait = core_wait,
       .seconds_left = mean_step_seconds_ * static_cast<double>(last_step() - metrics.step)});
}

// Once a second: it reads files.
void TrainingRun::look_at_cores() {
  if (seconds_since(looked_) < 1) return;
  looked_ = Clock::now();
  const std::optional<CoreTime> now = contention_->look();
  if (!now) return;
  core_time_ = now;
  if (!now->busy() || said_busy_) return;
  said_busy_ = true;
  line_->print(
      fmt::format("WARNING: {}: speeds below are not this machine's; end other work, or "
                  "set fewer cpu.threads",
                  to_text(*now)));
}

void TrainingRun::save() {
  if (root()) require_run_directory();
  const Phase phase(recorder(), "checkpoint", *machine_.compute);
  checkpoints_->save(state_);
}

// Says so, once, where the run's files are no longer at their place.
void TrainingRun::require_run_directory() {
  if (has_lost_directory_ || metrics_file_->in_place()) return;
  has_lost_directory_ = true;
  line_->print(fmt::format(
      "WARNING: {} has been removed or replaced: metrics of this run go nowhere from now on; the "
      "run ends with code {}",
      config_.run_directory() + "/metrics.jsonl", exit_code(ErrorKind::io)));
}

void TrainingRun::finish(const std::string& stopped_by) {
  require_run_directory();
  if (metrics_file_->lost() > 0) {
    line_->print(fmt::format("WARNING: the metrics of {} steps could not be written",
                             metrics_file_->lost()));
  }
  if (!stopped_by.empty()) {
    line_->print(fmt::format("stopped by {} after step {}; --resume auto continues", stopped_by,
                             state_.step));
  }
  std::string summary = fmt::format("{} steps done", state_.step);
  if (state_.best_validation_loss) {
    summary += fmt::format(", best validation loss {:.4f} at step {}", *state_.best_validation_loss,
                           state_.best_step);
  }
  line_->print(summary);
  if (!has_lost_directory_) draw_loss_curve();
}

void TrainingRun::draw_loss_curve() {
  const std::string directory = config_.run_directory();
  const std::string picture = directory + "/loss.svg";
  try {
    write_loss_curve(read_curve(directory + "/metrics.jsonl"), config_.name, picture);
    line_->print(fmt::format("metrics {}/metrics.jsonl, loss curve {}", directory, picture));
  } catch (const Error& error) {
    line_->print(fmt::format("WARNING: {}", error.what()));
  }
}

}  // namespace

int train(const TrainOptions& options, Bootstrap& bootstrap) {
  // Between two agreements every rank makes the same collective calls; inside one there are none
  // after something may have thrown.
  PreparedRun prepared;
  for (const bool first_of_host : {true, false}) {
    const auto prepare = [&] {
      if ((bootstrap.local_rank() == 0) == first_of_host)
        prepared = prepare_run(options, bootstrap);
    };
    if (int code = agree_after_reading(bootstrap, prepare)) return code;
  }
  const std::vector<std::string> digests = bootstrap.all_gather(start_digests(prepared));
  if (int code = agree(bootstrap, [&] { require_one_start(digests); })) return code;
  prepared.resume_path = bootstrap.broadcast(prepared.resume_path, 0);
  prepared.weights_path = bootstrap.broadcast(prepared.weights_path, 0);
  const std::string products =
      settle_bf16_products(prepared.config, prepared.resume_path, bootstrap);
  if (!products.empty()) prepared.facts.push_back(products);
  std::optional<TrainingRun> run;
  if (int code = agree(bootstrap, [&] { run.emplace(std::move(prepared), options, bootstrap); })) {
    return code;
  }
  if (int code = run->load()) return code;
  if (int code = agree(bootstrap, [&] { run->begin(); })) return code;
  return run->run();
}

}  // namespace weft
