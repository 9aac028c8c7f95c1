// Finding checkpoints in a directory of them (docs/checkpoint_format.md, section 7).
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include "core/base/error.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/directory.h"
#include "core/checkpoint/drafts.h"

namespace weft {
std::vector<FoundCheckpoint> list_checkpoints(const std::string& directory) {
  std::vector<FoundCheckpoint> found;
  if (!is_there(directory)) return found;
  found = list_displaced(directory);
  for (const std::string& name : list_directory(directory)) {
    int64_t step = 0;
    if (parse_step_directory_name(name, step)) found.push_back({directory + "/" + name, step});
  }
  std::sort(found.begin(), found.end(),
            [](const FoundCheckpoint& a, const FoundCheckpoint& b) { return a.step < b.step; });
  return found;
}

std::optional<FoundCheckpoint> find_latest(const std::string& directory,
                                           std::vector<std::string>& notices, int64_t below) {
  std::optional<Error> unreadable;
  const std::vector<FoundCheckpoint> all = list_checkpoints(directory);
  for (auto candidate = all.rbegin(); candidate != all.rend(); ++candidate) {
    if (candidate->step >= below) continue;
    try {
      std::error_code ignored;
      if (std::filesystem::is_symlink(candidate->path, ignored)) {
        fail(ErrorKind::input, "{} is a symbolic link, which is not followed", candidate->path);
      }
      const std::vector<std::string> faults = contents_faults(open_checkpoint(candidate->path));
      if (faults.empty()) return *candidate;
      fail(ErrorKind::input, "{}", fmt::join(faults, "; "));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::input && !unreadable) unreadable = error;
      notices.push_back(
          fmt::format("checkpoint of step {} is passed over: {}", candidate->step, error.what()));
    }
  }
  if (unreadable) {
    fail(unreadable->kind(),
         "{} holds no checkpoint that can be read now: {}; they may be intact: keep them, and try "
         "again when the disk answers",
         directory, unreadable->what());
  }
  return std::nullopt;
}

}  // namespace weft
