// Reading a run's YAML file: includes, overrides, every violation at once.
//
// A file may name others in its top-level key `include` (a path or a list of paths, relative to
// the file): their values come first, later files over earlier ones, then the file's own. A list
// replaces a list as a whole. Overrides ("train.steps=100") come last, later over earlier. A value
// that is overridden is checked nevertheless.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "launch/config/run_config.h"

namespace weft {

// Reads and checks a configuration. With `world_size`, the number of ranks about to train it, also
// checks what only a run needs: ranks against the mesh and the batch, and that data is named.
// Throws Error{config} with one line per violation, each "FILE:LINE:COLUMN: KEY: what is wrong".
RunConfig load_config(const std::string& path, std::span<const std::string> sets = {},
                      std::optional<int64_t> world_size = std::nullopt);

// The same of a text that stands alone, as to_yaml writes it: it includes nothing. `path` is for
// messages.
RunConfig parse_config(std::string text, const std::string& path);

// The effective configuration: YAML with every key, which load_config reads back to the same
// values.
std::string to_yaml(const RunConfig&);

// 32 hexadecimal digits that change when the value of any key changes: XXH3-128 of the lines
// "key: value" of all keys.
std::string config_digest(const RunConfig&);

// One line "KEY: OLD at the checkpoint, NEW now" for each key by whose values the steps of a run
// that is resumed differ by more than rounding. Not of keys whose change is refused: seed, batch,
// sequence length and data.
std::vector<std::string> training_changes(const RunConfig& at_checkpoint, const RunConfig& now);

// Throws Error{config} naming the key and both values where `now` would compute something else with
// the weights of `checkpoint`, which was trained as `at_checkpoint` says, although they have the
// same shapes.
void require_same_meaning(const RunConfig& at_checkpoint, const RunConfig& now,
                          const std::string& checkpoint);

}  // namespace weft
