#include "core/checkpoint/drafts.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "core/base/error.h"
#include "core/checkpoint/manifest.h"

namespace weft {
namespace {

constexpr std::string_view kReplaced = "replaced-";

std::string unused_path(const std::string& directory, std::string_view role, int64_t step) {
  const std::string first = fmt::format("{}/{}{}{}-{}", directory, kDraftPrefix, role,
                                        step_directory_name(step), ::getpid());
  std::string path = first;
  for (int k = 2; is_there(path); ++k) path = fmt::format("{}-{}", first, k);
  return path;
}

// The step of a name that replaced_path() made.
std::optional<int64_t> replaced_step(std::string_view name) {
  const std::string prefix = std::string(kDraftPrefix) + std::string(kReplaced);
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  int64_t step = 0;
  if (!parse_step_directory_name(name.substr(0, name.find('-')), step)) return std::nullopt;
  return step;
}

}  // namespace

std::string draft_path(const std::string& directory, int64_t step) {
  return unused_path(directory, "", step);
}

std::string removed_path(const std::string& directory, int64_t step) {
  return unused_path(directory, "removed-", step);
}

std::string replaced_path(const std::string& directory, int64_t step) {
  return unused_path(directory, kReplaced, step);
}

std::optional<int64_t> named_step(const std::string& path) {
  const std::string name = std::filesystem::path(path).filename().string();
  int64_t step = 0;
  if (parse_step_directory_name(name, step)) return step;
  return replaced_step(name);
}

std::vector<FoundCheckpoint> list_displaced(const std::string& directory) {
  std::vector<FoundCheckpoint> found;
  for (const std::string& name : list_directory(directory)) {
    const std::optional<int64_t> step = replaced_step(name);
    if (!step || is_there(directory + "/" + step_directory_name(*step))) continue;
    found.push_back({directory + "/" + name, *step});
  }
  std::sort(found.begin(), found.end(),
            [](const FoundCheckpoint& a, const FoundCheckpoint& b) { return a.step < b.step; });
  return found;
}

std::vector<std::string> sweep_drafts(const std::string& directory, FileWriter& writer) {
  std::vector<std::string> notices;
  attempt(notices, [&] {
    for (const FoundCheckpoint& displaced : list_displaced(directory)) {
      attempt(notices, [&] {
        writer.rename(displaced.path, directory + "/" + step_directory_name(displaced.step));
      });
    }
    for (const std::string& name : list_directory(directory)) {
      if (!name.starts_with(kDraftPrefix)) continue;
      const std::optional<int64_t> step = replaced_step(name);
      if (step && !is_there(directory + "/" + step_directory_name(*step))) continue;
      attempt(notices, [&] { writer.remove_tree(directory + "/" + name); });
    }
  });
  return notices;
}

}  // namespace weft
