// The effective configuration as text, and its digest.
#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string_view>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/field_text.h"
#include "launch/config/load.h"
#include "launch/config/path_text.h"

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
                                                "comm.",
                                                "pipeline.",
                                                "recompute.",
                                                "checkpoint.",
                                                "load.",
                                                "cpu.",
                                                "cuda.",
                                                "output."};

// Keys of the model that do not change what given weights compute: the shapes of the weights tell
// of them, or training alone reads them. Any other key of the model is taken to change it.
constexpr std::string_view kBesideMeaning[] = {
    "model.vocab_size", "model.context_length", "model.layers",  "model.width",   "model.mlp_width",
    "model.bias",       "model.tied_head",      "model.dropout", "model.init_std"};

bool is_one_of(std::string_view key, std::span<const std::string_view> names) {
  return std::ranges::any_of(names, [&](std::string_view name) {
    return name.back() == '.' ? key.starts_with(name) : key == name;
  });
}

bool is_beside_training(std::string_view key) { return is_one_of(key, kBesideTraining); }

bool changes_meaning(std::string_view key) {
  return key.starts_with("model.") && !is_one_of(key, kBesideMeaning);
}

// Calls f(key, old value, new value) for each key whose values differ.
template <typename F>
void for_each_change(RunConfig before, RunConfig after, F&& f) {
  const std::vector<Field> old_fields = fields_of(before);
  const std::vector<Field> new_fields = fields_of(after);
  for (size_t i = 0; i < old_fields.size(); ++i) {
    const std::string was = value_text(old_fields[i]);
    const std::string is = value_text(new_fields[i]);
    if (was != is) f(old_fields[i].key, was, is);
  }
}

// Paths as the configuration file must have them to be read back.
void escape_paths(const Field& field) {
  if (auto* const* text = std::get_if<std::string*>(&field.target)) **text = escape_path(**text);
  if (auto* const* text = std::get_if<std::optional<std::string>*>(&field.target)) {
    if (**text) **text = escape_path(***text);
  }
  if (auto* const* list = std::get_if<std::vector<std::string>*>(&field.target)) {
    for (std::string& text : **list) text = escape_path(text);
  }
}

}  // namespace

std::string to_yaml(const RunConfig& config) {
  RunConfig copy = config;  // a field list names members for writing too
  std::string yaml;
  for (const Field& field : fields_of(copy)) {
    if (field.text == TextRule::path) escape_paths(field);
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
  std::vector<std::string> changes;
  for_each_change(at_checkpoint, now, [&](const auto& key, const auto& was, const auto& is) {
    if (is_beside_training(key)) return;
    changes.push_back(fmt::format("{}: {} at the checkpoint, {} now", key, was, is));
  });
  return changes;
}

void require_same_meaning(const RunConfig& at_checkpoint, const RunConfig& now,
                          const std::string& checkpoint) {
  for_each_change(at_checkpoint, now, [&](const auto& key, const auto& was, const auto& is) {
    if (!changes_meaning(key)) return;
    fail(ErrorKind::config,
         "{}: {} was trained with {}, this run has {}; its weights mean something else then: take "
         "over the value",
         key, checkpoint, was, is);
  });
}

}  // namespace weft
