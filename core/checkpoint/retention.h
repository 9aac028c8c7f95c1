// Which checkpoints of a directory are kept, and taking the others away.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/files.h"

namespace weft {

// What `retention` does not keep, newest first. Damaged checkpoints do not count as kept, so that
// keep_last ones to go back to remain; where there are fewer, nothing is superseded. One of the
// proven ones always is among what is kept, if there is one. With `saved`,
// the checkpoint of this step counts as the newest and later ones are left alone. What LATEST names
// is always kept.
std::vector<FoundCheckpoint> superseded(const std::string& directory, const Retention& retention,
                                        std::optional<int64_t> saved);

// Removes a checkpoint. It is taken out of sight first, so that one half removed is never found.
// The caller holds the lock of the directory.
void withdraw(const std::string& directory, const FoundCheckpoint& old, FileWriter& writer);

// Removes the checkpoint of `step`, if there is one, as something nobody can go on from. LATEST
// then names the newest left. The caller holds the lock of the directory.
void take_back(const std::string& directory, int64_t step, FileWriter& writer);

}  // namespace weft
