// Names in a directory of checkpoints that are no checkpoints: drafts of saves, and what is on its
// way out (docs/checkpoint_format.md, sections 1 and 5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/files.h"

namespace weft {

inline constexpr char kDraftPrefix[] = ".tmp-";

// Paths that nothing has: what a dead process of the same number left, and what could not be
// removed, is in nobody's way.
std::string draft_path(const std::string& directory, int64_t step);     // of a save
std::string removed_path(const std::string& directory, int64_t step);   // of what retention removes
std::string replaced_path(const std::string& directory, int64_t step);  // see FileWriter::replace

// Tidying goes on past what fails, which becomes a line of `notices`.
template <typename Action>
void attempt(std::vector<std::string>& notices, Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    notices.emplace_back(error.what());
  }
}

// The step that the name of a checkpoint says, a displaced one's too; nothing for other names.
std::optional<int64_t> named_step(const std::string& path);

// Checkpoints that a process which died in FileWriter::replace left without their names, ascending
// by step.
std::vector<FoundCheckpoint> list_displaced(const std::string& directory);

// Gives displaced checkpoints their names back and removes all other drafts. A line for each that
// stays.
std::vector<std::string> sweep_drafts(const std::string& directory, FileWriter& writer);

}  // namespace weft
