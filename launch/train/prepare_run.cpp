#include "launch/train/prepare_run.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "core/base/host_name.h"
#include "core/checkpoint/drafts.h"
#include "core/checkpoint/manifest.h"
#include "launch/config/load.h"
#include "launch/report_error.h"

namespace weft {
namespace {

// The vocabulary that all training data was made for.
int64_t vocabulary_of(const DataConfig& data) {
  int64_t vocab = 0;
  for (const std::string& path : data.train) {
    const auto source = open_tokens(path, data.format);
    if (!source->info().vocab_size) {
      fail(
          ErrorKind::config,
          "model.vocab_size: auto, but {} does not say for which vocabulary it was made; set it to "
          "at least {} (its largest id is {})",
          path, source->info().largest.id + 1, source->info().largest.id);
    }
    vocab = std::max(vocab, *source->info().vocab_size);
  }
  return vocab;
}

void open_data(PreparedRun& run) {
  const RunConfig& c = run.config;
  const SampleSpec training{.length = c.sequence_length(),
                            .stride = c.stride(),
                            .order = c.data.order,
                            .seed = static_cast<uint64_t>(c.seed)};
  run.train = open_dataset(c.data.train, c.data.format, training, *c.model.vocab_size);
  const TokenInfo& info = run.train->sources().front()->info();
  run.tokenizer_directory = info.tokenizer_directory;
  run.tokenizer_digest = info.tokenizer_digest.value_or("");
  if (c.data.validation.empty() || c.train.eval_interval == 0) return;
  const SampleSpec held_out{.length = c.sequence_length(), .shuffle = false};
  run.validation = open_dataset(c.data.validation, c.data.format, held_out, *c.model.vocab_size);
  run.validation_samples =
      std::min(run.validation->samples_per_epoch(), c.train.eval_batches * c.train.batch_size);
}

bool is_checkpoint(const std::string& path) {
  return std::filesystem::exists(std::filesystem::path(path) / "manifest.json");
}

// On rank 0: where to continue from; empty for a fresh start.
std::string find_resume_path(const TrainOptions& options, PreparedRun& run) {
  const std::string directory = run.config.checkpoint_directory();
  if (!options.resume) {
    const std::vector<FoundCheckpoint> present = list_checkpoints(directory);
    if (!present.empty()) {
      fail(ErrorKind::config,
           "{} already holds checkpoints up to step {}; continue with --resume auto, or choose "
           "another name, or remove it",
           directory, present.back().step);
    }
    return "";
  }
  const bool automatic = *options.resume == "auto";
  if (!automatic && is_checkpoint(*options.resume)) return *options.resume;
  run.resume_directory = automatic ? directory : *options.resume;
  const auto found = find_latest(run.resume_directory, run.notices);
  if (found) return found->path;
  if (automatic && list_checkpoints(directory).empty()) return "";
  fail(ErrorKind::input, "{} holds no intact checkpoint{}{}; {}", run.resume_directory,
       run.notices.empty() ? "" : ": ", run.notices.empty() ? "" : run.notices.front(),
       automatic ? "remove it to start from the beginning, or choose another name"
                 : "name a step_N directory, a directory of them, or auto");
}

// On rank 0: the checkpoint that load.weights means; empty when the run is resumed.
std::string find_weights_path(PreparedRun& run) {
  if (!run.config.load.weights || !run.resume_path.empty()) return "";
  const std::string& where = *run.config.load.weights;
  if (is_checkpoint(where)) return where;
  if (const auto found = find_latest(where, run.notices)) return found->path;
  fail(ErrorKind::input, "load.weights: {} holds no intact checkpoint{}{}", where,
       run.notices.empty() ? "" : ": ", run.notices.empty() ? "" : run.notices.front());
}

}  // namespace

PreparedRun prepare_run(const TrainOptions& options, Bootstrap& bootstrap) {
  PreparedRun run;
  // 1. The configuration.
  run.config = load_config(options.config, options.sets, bootstrap.size());
  if (options.trace && run.config.cuda.graphs) {
    fail(ErrorKind::usage,
         "--trace reads the clock around every operation, which recorded passes are not made of; "
         "add --set cuda.graphs=false, which computes the same");
  }
  // 2. The data decides an automatic vocabulary.
  if (!run.config.model.vocab_size) run.config.model.vocab_size = vocabulary_of(run.config.data);
  open_data(run);
  // 3. The checkpoint to continue from, or to begin with.
  if (bootstrap.rank() == 0) {
    run.resume_path = find_resume_path(options, run);
    run.weights_path = find_weights_path(run);
  }
  return run;
}

RunState state_of(const PreparedRun& run, int64_t step) {
  const RunConfig& c = run.config;
  RunState s;
  s.step = step;
  s.consumed_samples = step * c.train.batch_size;
  s.config_digest = config_digest(c);
  s.tokenizer_digest = run.tokenizer_digest;
  s.data_digest = run.train->digest();
  s.seed = c.seed;
  s.batch_size = c.train.batch_size;
  s.sequence_length = c.sequence_length();
  return s;
}

void require_same_run(const RunState& saved, const PreparedRun& run) {
  const RunState now = state_of(run, saved.step);
  const auto require = [&](const char* key, const auto& then, const auto& current) {
    if (then == current) return;
    fail(ErrorKind::config,
         "{}: the checkpoint was written with {} {}, this run has {}; a resumed run must continue "
         "the same data order: put the value back, or start a new run under another name",
         run.resume_path, key, then, current);
  };
  require("seed", saved.seed, now.seed);
  require("train.batch_size", saved.batch_size, now.batch_size);
  require("train.sequence_length", saved.sequence_length, now.sequence_length);
  require("data digest", saved.data_digest, now.data_digest);
}

std::vector<std::string> changes_since(const CheckpointReader& reader, const RunConfig& now) {
  try {
    return training_changes(attached_config(reader), now);
  } catch (const Error& error) {
    // A run can go on without: another version of weft may have had other keys.
    return {fmt::format("what has changed since the checkpoint is not known: {}", error.what())};
  }
}

void require_one_config(const std::vector<std::string>& digests) {
  for (size_t rank = 1; rank < digests.size(); ++rank) {
    if (digests[rank] == digests.front()) continue;
    fail(ErrorKind::config,
         "rank {} has read another configuration (digest {}) than rank 0 ({}); give every host the "
         "same files and the same --set",
         rank, digests[rank], digests.front());
  }
}

std::string find_older(PreparedRun& run, const Failure& damage) {
  const bool of_file = damage.kind == ErrorKind::input || damage.kind == ErrorKind::io;
  if (!of_file || run.resume_directory.empty()) fail(damage.kind, "{}", damage.message);
  const std::optional<int64_t> step = named_step(run.resume_path);
  WEFT_CHECK(step, "resumed from '{}'", run.resume_path);
  run.notices.push_back(fmt::format("checkpoint of step {} is passed over: rank {}: {}", *step,
                                    damage.rank, damage.message));
  if (const auto found = find_latest(run.resume_directory, run.notices, *step)) return found->path;
  fail(damage.kind, "{}; {} holds no older intact checkpoint: {}", damage.message,
       run.resume_directory,
       damage.kind == ErrorKind::io
           ? "this one may be intact, keep it, and try again when the disk answers"
           : "remove it to start from the beginning, or choose another name");
}

std::optional<Failure> first_failure(Bootstrap& bootstrap, const std::function<void()>& body) {
  // "" when all is well, else the kind's number, the host and the message, with spaces between.
  std::string mine;
  try {
    body();
  } catch (const Error& error) {
    mine = fmt::format("{} {} {}", static_cast<int>(error.kind()), host_name(), error.what());
  }
  const std::vector<std::string> all = bootstrap.all_gather(mine);
  const auto bad = std::find_if(all.begin(), all.end(), [](const auto& e) { return !e.empty(); });
  if (bad == all.end()) return std::nullopt;
  int kind = 0;
  const char* end = std::from_chars(bad->data(), bad->data() + bad->size(), kind).ptr;
  const std::string rest = end + 1;
  const size_t space = rest.find(' ');
  return Failure{static_cast<int>(bad - all.begin()), static_cast<ErrorKind>(kind),
                 rest.substr(space + 1), rest.substr(0, space)};
}

namespace {

// By rank 0, of itself or of another rank.
void report_failure(const Failure& failure, int ranks) {
  if (failure.rank == 0) {
    report_error(failure.kind, failure.message);
  } else {
    report_error(failure.kind, failure.message, RankInWorld{failure.rank, ranks, failure.host});
  }
}

}  // namespace

int agree(Bootstrap& bootstrap, const std::function<void()>& body) {
  const std::optional<Failure> failure = first_failure(bootstrap, body);
  if (!failure) return 0;
  if (bootstrap.rank() == 0) report_failure(*failure, bootstrap.size());
  return exit_code(failure->kind);
}

}  // namespace weft
