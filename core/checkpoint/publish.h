// Rank 0's part of a save: the place where it is written, and making it a checkpoint
// (docs/checkpoint_format.md, section 5).
#pragma once

#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/files.h"
#include "core/checkpoint/manifest.h"

namespace weft {

inline constexpr char kLatestName[] = "LATEST";

// Step 1: removes what dead saves left, as far as that goes, and makes an empty directory for this
// one. The caller holds the lock. Returns its path.
std::string stage(const std::string& directory, int64_t step, FileWriter& writer);

// Steps 4 and 5: writes attached files and the manifest into the staged directory, and gives it its
// name. Returns the path of the checkpoint. `manifest.attached` is filled in.
std::string publish(const std::string& staged, const std::string& directory, Manifest& manifest,
                    std::span<const Attachment> attachments, FileWriter& writer);

// LATEST names the checkpoint of `step` from now on.
void write_latest(const std::string& directory, int64_t step, FileWriter& writer);

// Step 6. What goes wrong is a line of the result; the checkpoint of `step` is never removed.
std::vector<std::string> tidy(const std::string& directory, int64_t step,
                              const Retention& retention, FileWriter& writer);

}  // namespace weft
