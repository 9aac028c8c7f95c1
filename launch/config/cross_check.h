// What has to hold between keys of a configuration, beyond the range of each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launch/config/run_config.h"

namespace weft {

struct Violation {
  std::vector<std::string> keys;  // the keys involved; the one to change first
  std::string message;            // one line: the numbers, why not, and what would work
};

// Every violation of `config`, whose values each lie in their ranges; the checks that need
// `world_size` or data are left out without it.
std::vector<Violation> cross_check(const RunConfig& config, std::optional<int64_t> world_size);

}  // namespace weft
