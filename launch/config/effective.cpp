// The effective configuration as text, and its digest.
#include <fmt/format.h>
#include <xxhash.h>

#include "core/base/field_text.h"
#include "launch/config/load.h"

namespace weft {

std::string to_yaml(const RunConfig& config) {
  RunConfig copy = config;  // a field list names members for writing too
  std::string yaml;
  for (const Field& field : fields_of(copy)) {
    const std::string indent(static_cast<size_t>(2 * field.depth()), ' ');
    const std::string value = value_text(field);
    yaml += fmt::format("{}{}:{}{}\n", indent, field.leaf(), value.empty() ? "" : " ", value);
  }
  return yaml;
}

std::string config_digest(const RunConfig& config) {
  RunConfig copy = config;
  std::string lines;
  for (const Field& field : fields_of(copy)) {
    if (!field.is_group()) lines += fmt::format("{}: {}\n", field.key, value_text(field));
  }
  const XXH128_hash_t hash = XXH3_128bits(lines.data(), lines.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace weft
