// Everything about a run that can be refused before the first byte of model memory is taken:
// configuration, data, checkpoint to resume from.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/mesh/communicator.h"
#include "data/dataset.h"
#include "launch/config/run_config.h"
#include "launch/step/run_state.h"
#include "launch/train/trainer.h"

namespace weft {

struct PreparedRun {
  RunConfig config;  // model.vocab_size is set
  std::optional<Dataset> train;
  std::optional<Dataset> validation;
  int64_t validation_samples = 0;              // of one evaluation
  std::vector<TokenizerFile> tokenizer_files;  // rank 0; none when the data names no tokenizer
  std::string tokenizer_digest;
  std::string resume_path;  // checkpoint to continue from, or empty
  // Rank 0: where an older checkpoint is looked for when that one is damaged; empty when it was
  // named itself.
  std::string resume_directory;
  std::string weights_path;        // checkpoint whose weights a fresh start begins with, or empty
  std::vector<std::string> facts;  // of how it will compute, a line each
  std::vector<std::string> notices;
  std::vector<std::string> changes;  // of the configuration since the checkpoint
};

// Throws Error with what is wrong, on the ranks that see it. Makes no collective calls, but finds
// what the first rank of its host has read only when that one called it before.
PreparedRun prepare_run(const TrainOptions& options, Bootstrap& bootstrap);

// The state a fresh run would save after `step` updates.
RunState state_of(const PreparedRun& run, int64_t step);

// Throws Error{config} when `saved` belongs to a run whose continuation would not be the one that
// was interrupted: other data, batch or seed.
void require_same_run(const RunState& saved, const PreparedRun& run);

// What training does otherwise from here on than until the checkpoint, a line for each key; or one
// that says why that cannot be told. Throws as require_same_meaning does.
std::vector<std::string> changes_since(const CheckpointReader& reader, const RunConfig& now);

// What all ranks must have alike: the digests of configuration, data and tokenizer, a line each.
std::string start_digests(const PreparedRun& run);

// Throws Error{config} unless all ranks have what rank 0 has; `digests` are theirs, in rank order.
// Hosts may hold different copies of a file.
void require_one_start(const std::vector<std::string>& digests);

// What went wrong on a rank.
struct Failure {
  int rank = 0;
  ErrorKind kind = ErrorKind::internal;
  std::string message;
  std::string host;
};

// Rank 0: the newest intact checkpoint of run.resume_directory that is older than run.resume_path,
// which a rank could not read; run.notices then say so. Throws Error of the damage's kind when
// there is none, when resume_path was named itself, or when it is not the checkpoint that is at
// fault.
std::string find_older(PreparedRun& run, const Failure& damage);

// Runs `body` on every rank; the exception (as_error) of the lowest rank on which it threw, the
// same everywhere. Collective.
std::optional<Failure> first_failure(Bootstrap& bootstrap, const std::function<void()>& body);

// Runs `body` on every rank; when it throws anywhere, rank 0 reports one error, with the rank and
// the host that it happened on, and every rank gets its exit code. 0 when all went well.
int agree(Bootstrap& bootstrap, const std::function<void()>& body);

// agree() for a body that may read for long on some ranks, and that makes no collective calls: no
// rank takes the others' reading for a hang.
int agree_after_reading(Bootstrap& bootstrap, const std::function<void()>& body);

}  // namespace weft
