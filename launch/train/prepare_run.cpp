#include "launch/train/prepare_run.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <future>
#include <iterator>
#include <sstream>

#include "core/base/host_name.h"
#include "core/checkpoint/drafts.h"
#include "core/checkpoint/manifest.h"
#include "data/content_memory.h"
#include "launch/config/load.h"
#include "launch/host/cache_folder.h"
#include "launch/host/report_error.h"
#include "launch/step/checkpoint_path.h"

namespace weft {
namespace {

constexpr int64_t kLongReading = int64_t{1} << 30;  // bytes from which on it is said
constexpr std::chrono::milliseconds kMeeting(500);  // of ranks, while some of them read

// What a rank reads through of the data. The first rank of a host reads for all of them, who find
// it in the memory that they share.
ContentCheck content_check(const DataConfig& data, const ContentMemory* memory,
                           const Bootstrap& bootstrap) {
  const bool first = bootstrap.local_rank() == 0;
  ContentCheck check{.memory = memory,
                     .verify = first && data.verify != DataConfig::Verify::never,
                     .reread = first && data.verify == DataConfig::Verify::always};
  if (bootstrap.rank() != 0) return check;
  check.announce = [](const std::string& path, int64_t bytes) {
    if (bytes < kLongReading) return;
    fmt::print(stderr, "reading {} ({:.1f} GiB) through for its digest\n", path,
               static_cast<double>(bytes) / static_cast<double>(kLongReading));
  };
  return check;
}

// The vocabulary that all training data was made for.
int64_t vocabulary_of(const DataConfig& data, ContentCheck& check) {
  int64_t vocab = 0;
  for (const std::string& path : data.train) {
    const auto source = open_tokens(path, data.format, check);
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

// The files of the tokenizer that the data was made with, which travel with every checkpoint.
std::vector<TokenizerFile> tokenizer_files(const TokenInfo& info) {
  if (info.tokenizer_directory.empty()) return {};
  const std::unique_ptr<Tokenizer> tokenizer = open_tokenizer(info.tokenizer_directory);
  if (info.tokenizer_digest && *info.tokenizer_digest != tokenizer->digest()) {
    fail(
        ErrorKind::input,
        "{}: was made with a tokenizer of digest {}, that in {} has {}; put the right one back, or "
        "prepare the data again",
        info.path, *info.tokenizer_digest, info.tokenizer_directory, tokenizer->digest());
  }
  return stored_files(*tokenizer);
}

void require_one_tokenizer(const TokenInfo& train, const TokenInfo& validation) {
  if (!train.tokenizer_digest || !validation.tokenizer_digest) return;
  if (*train.tokenizer_digest == *validation.tokenizer_digest) return;
  fail(ErrorKind::input,
       "data.train ({}) and data.validation ({}) come from different tokenizers (digests {} and "
       "{}); prepare both with one",
       train.path, validation.path, *train.tokenizer_digest, *validation.tokenizer_digest);
}

void open_data(PreparedRun& run, ContentCheck& check, bool root) {
  const RunConfig& c = run.config;
  const SampleSpec training{.length = c.sequence_length(),
                            .stride = c.stride(),
                            .order = c.data.order,
                            .seed = static_cast<uint64_t>(c.seed)};
  run.train = open_dataset(c.data.train, c.data.format, training, *c.model.vocab_size, check);
  const TokenInfo& info = run.train->sources().front()->info();
  if (root) run.tokenizer_files = tokenizer_files(info);
  run.tokenizer_digest = info.tokenizer_digest.value_or("");
  if (c.data.validation.empty() || c.train.eval_interval == 0) return;
  const SampleSpec held_out{.length = c.sequence_length(), .shuffle = false};
  run.validation =
      open_dataset(c.data.validation, c.data.format, held_out, *c.model.vocab_size, check);
  require_one_tokenizer(info, run.validation->sources().front()->info());
  run.validation_samples =
      std::min(run.validation->samples_per_epoch(), c.train.eval_batches * c.train.batch_size);
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
  if (!automatic) require_directory(*options.resume, "--resume");
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
  require_directory(where, "load.weights");
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
  std::optional<ContentMemory> memory;
  if (const auto folder = cache_folder()) memory.emplace(*folder + "/data");
  ContentCheck check = content_check(run.config.data, memory ? &*memory : nullptr, bootstrap);
  if (!run.config.model.vocab_size) {
    run.config.model.vocab_size = vocabulary_of(run.config.data, check);
  }
  open_data(run, check, bootstrap.rank() == 0);
  std::ranges::move(check.notices, std::back_inserter(run.notices));
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
  if (!saved.tokenizer_digest.empty() && !now.tokenizer_digest.empty()) {
    require("tokenizer digest", saved.tokenizer_digest, now.tokenizer_digest);
  }
}

std::vector<std::string> changes_since(const CheckpointReader& reader, const RunConfig& now) {
  RunConfig then;
  try {
    then = attached_config(reader);
  } catch (const Error& error) {
    // A run can go on without: another version of weft may have had other keys.
    return {fmt::format("what has changed since the checkpoint is not known: {}", error.what())};
  }
  require_same_meaning(then, now, reader.path());
  return training_changes(then, now);
}

std::string start_digests(const PreparedRun& run) {
  return fmt::format("{}\n{}\n{}\n{}", config_digest(run.config), run.train->digest(),
                     run.validation ? run.validation->digest() : "none",
                     run.tokenizer_digest.empty() ? "none" : run.tokenizer_digest);
}

void require_one_start(const std::vector<std::string>& digests) {
  struct Item {
    const char* what;
    const char* fix;
  };
  constexpr Item kItems[] = {
      {"has read another configuration", "give every host the same files and the same --set"},
      {"has other data in data.train", "give every host the same files"},
      {"has other data in data.validation", "give every host the same files"},
      {"has data of another tokenizer", "give every host the same files"}};
  for (size_t rank = 1; rank < digests.size(); ++rank) {
    if (digests[rank] == digests.front()) continue;
    std::istringstream theirs(digests[rank]), first(digests.front());
    std::string own, expected;
    for (const Item& item : kItems) {
      std::getline(theirs, own);
      std::getline(first, expected);
      if (own == expected) continue;
      fail(ErrorKind::config, "rank {} {} (digest {}) than rank 0 ({}); {}", rank, item.what, own,
           expected, item.fix);
    }
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
  } catch (const std::exception& exception) {
    const Error error = as_error(exception);
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

int agree_after_reading(Bootstrap& bootstrap, const std::function<void()>& body) {
  std::future<void> done;
  try {
    done = std::async(std::launch::async, body);
  } catch (const std::system_error&) {  // no thread to be had: get() runs it
    done = std::async(std::launch::deferred, body);
  }
  for (bool all = false; !all;) {
    const bool mine = done.wait_for(kMeeting) != std::future_status::timeout;
    const std::vector<std::string> states = bootstrap.all_gather(mine ? "done" : "");
    all = std::ranges::none_of(states, [](const std::string& state) { return state.empty(); });
  }
  return agree(bootstrap, [&] { done.get(); });
}

}  // namespace weft
