// The effective configuration as text, and its digest.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "core/base/digest.h"
#include "core/base/field_text.h"
#include "launch/config/load.h"

namespace weft {
namespace {

// Keys and groups that say where, how fast and with what beside it a run computes, or that may not
// change when it is resumed. Any other key is taken to decide what is computed.
constexpr std::string_view kBesideTraining[] = {"name",
                                                "seed",
                                                "device",
                                                "determinism",
                                                "data.",
                                                "train.batch_size",
                                                "train.micro_batch_size",
                                                "train.sequence_length",
                                                "train.eval_interval",
                                                "train.eval_batches",
                                                "train.log_interval",
                                                "train.bucket_size_mib",
                                                "mesh.",
                                                "pipeline.",
                                                "recompute.",
                                                "comm.",
                                                "checkpoint.",
                                                "load.",
                                                "cpu.",
                                                "cuda.",
                                                "output."};

bool is_beside_training(std::string_view key) {
  return std::ranges::any_of(kBesideTraining, [&](std::string_view name) {
    return name.back() == '.' ? key.starts_with(name) : key == name;
  });
}

}  // namespace

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
  return to_string(digest_of(lines));
}

std::vector<std::string> training_changes(const RunConfig& at_checkpoint, const RunConfig& now) {
  RunConfig old_values = at_checkpoint;
  RunConfig new_values = now;
  const std::vector<Field> before = fields_of(old_values);
  const std::vector<Field> after = fields_of(new_values);
  std::vector<std::string> changes;
  for (size_t i = 0; i < before.size(); ++i) {
    const std::string was = value_text(before[i]);
    const std::string is = value_text(after[i]);
    if (was == is || is_beside_training(before[i].key)) continue;
    changes.push_back(fmt::format("{}: {} at the checkpoint, {} now", before[i].key, was, is));
  }
  return changes;
}

}  // namespace weft
