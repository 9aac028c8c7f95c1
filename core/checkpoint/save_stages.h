// The stages of a save (docs/checkpoint_format.md, section 5), for those that run them one after
// the other in one thread and those that do not.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/files.h"

namespace weft {

// Step 1: rank 0 takes the lock, into `lock` unless the request has one, and makes the directory
// that is written into. Returns its path. Rank 0's `notices` get what is to be said about the lock.
// Collective; throws the same Error on every rank.
std::string stage_save(const SaveRequest& request, Bootstrap& bootstrap, FileWriter& writer,
                       std::optional<DirectoryLock>& lock, std::vector<std::string>& notices);

// Step 2: this rank's shard file. Returns its part of the manifest as text, for commit_save.
std::string write_shards(const SaveRequest& request, int rank, const std::string& staged,
                         FileWriter& writer);

struct Committed {
  std::string path;  // of the published checkpoint
  int64_t bytes = 0;
  std::vector<std::string> notices;
};

// Steps 3 to 6, on rank 0: publishes what all ranks have written, whose `parts` are given in rank
// order. Leaves nothing of the staged directory when it throws.
Committed commit_save(const SaveRequest& request, const std::string& staged,
                      const std::vector<std::string>& parts, FileWriter& writer);

// Removes what is left of a save that failed with `error`; the next save would sweep it, but the
// disk may be full. Throws the error again, with what could not be removed.
[[noreturn]] void discard_save(const std::string& staged, const Error& error);

}  // namespace weft
