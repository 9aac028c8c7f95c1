#include "core/checkpoint/retention.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "core/base/directories.h"
#include "core/base/error.h"
#include "core/checkpoint/directory.h"
#include "core/checkpoint/drafts.h"
#include "core/checkpoint/publish.h"

namespace weft {
namespace {

bool is_intact(const FoundCheckpoint& checkpoint) {
  try {
    return contents_faults(open_checkpoint(checkpoint.path)).empty();
  } catch (const Error&) {
    return false;
  }
}

// The step that LATEST names; nothing when there is no such file or it names none.
std::optional<int64_t> latest_step(const std::string& directory) {
  constexpr int64_t kLimit = 256;
  const std::string path = directory + "/" + kLatestName;
  if (!is_there(path)) return std::nullopt;
  try {
    const std::string text =
        read_text(open_regular(open_directory(directory), kLatestName, path), kLimit, path);
    int64_t step = 0;
    if (parse_step_directory_name(text.substr(0, text.find('\n')), step)) return step;
  } catch (const Error&) {
    // An unreadable hint hints at nothing.
  }
  return std::nullopt;
}

}  // namespace

std::vector<FoundCheckpoint> superseded(const std::string& directory, const Retention& retention,
                                        std::optional<int64_t> saved) {
  std::vector<FoundCheckpoint> result;
  std::vector<FoundCheckpoint> all = list_checkpoints(directory);
  std::reverse(all.begin(), all.end());
  const std::optional<int64_t> latest = latest_step(directory);
  const int64_t proven =
      retention.proven == nullptr ? std::numeric_limits<int64_t>::max() : retention.proven->load();
  int kept = saved ? 1 : 0;
  bool kept_proven = saved && *saved <= proven;
  for (const FoundCheckpoint& old : all) {
    if (saved && old.step >= *saved) continue;
    const bool is_proof = !kept_proven && old.step <= proven;
    if (kept < retention.keep_last || is_proof) {
      if (!is_intact(old)) continue;
      ++kept;
      kept_proven = kept_proven || is_proof;
      continue;
    }
    const bool milestone = retention.keep_every > 0 && old.step % retention.keep_every == 0;
    if (!milestone && old.step != latest) result.push_back(old);
  }
  return result;
}

void withdraw(const std::string& directory, const FoundCheckpoint& old, FileWriter& writer) {
  const std::string draft = removed_path(directory, old.step);
  writer.rename(old.path, draft);
  writer.remove_tree(draft);
}

void take_back(const std::string& directory, int64_t step, FileWriter& writer) {
  std::vector<FoundCheckpoint> all = list_checkpoints(directory);
  const auto found = std::ranges::find(all, step, &FoundCheckpoint::step);
  if (found == all.end()) return;
  withdraw(directory, *found, writer);
  all.erase(found);
  if (!all.empty()) write_latest(directory, all.back().step, writer);
}

Pruned prune_checkpoints(const std::string& directory, const Retention& retention, bool dry_run) {
  WEFT_CHECK(retention.keep_last > 0, "pruning that keeps {} checkpoints", retention.keep_last);
  if (!is_directory(directory)) {
    fail(ErrorKind::input, "{} is no directory; name the one that holds the step_N directories",
         directory);
  }
  Pruned result;
  std::optional<DirectoryLock> lock;
  if (!dry_run && !lock.emplace(directory).notice().empty()) {
    result.notices.push_back(lock->notice());
  }
  std::vector<std::string> failures;
  const std::vector<FoundCheckpoint> old = superseded(directory, retention, std::nullopt);
  FileWriter writer(nullptr);
  for (auto o = old.rbegin(); o != old.rend(); ++o) {
    try {
      if (!dry_run) withdraw(directory, *o, writer);
      result.removed.push_back(*o);
    } catch (const Error& error) {
      failures.emplace_back(error.what());
    }
  }
  if (!failures.empty()) {
    fail(ErrorKind::io, "{}; {} of {} checkpoints were removed", fmt::join(failures, "; "),
         result.removed.size(), old.size());
  }
  return result;
}

}  // namespace weft
