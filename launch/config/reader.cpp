#include "launch/config/reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "core/base/field_text.h"
#include "core/base/nearest.h"
#include "launch/config/config_file.h"
#include "launch/config/path_text.h"

namespace weft {

namespace {

constexpr size_t kMostLines = 40;

std::string parent_of(const std::string& key) {
  const size_t dot = key.rfind('.');
  return dot == std::string::npos ? "" : key.substr(0, dot + 1);
}

std::string_view kind_in_words(YamlNode::Kind kind) {
  switch (kind) {
    case YamlNode::Kind::null:
      return "no value";
    case YamlNode::Kind::list:
      return "a list";
    case YamlNode::Kind::map:
      return "a group of keys";
    default:
      return "a value";
  }
}

// A path as the file system is to have it; other texts as they are. What is wrong with it, or "".
std::string expand(const Field& field, Scalar& value) {
  if (field.text != TextRule::path) return "";
  PathText text = expand_path(value.text);
  if (!text.problem.empty()) return fmt::format("{} {}", shown(value.text), text.problem);
  value.text = std::move(text.path);
  return "";
}

}  // namespace

std::string key_hint(const std::vector<Field>& fields, const std::string& key) {
  const std::string parent = parent_of(key);
  const std::string leaf = key.substr(parent.size());
  std::vector<std::string> siblings;
  std::vector<std::string> elsewhere;  // full keys whose last part is the same
  std::vector<std::string> all;
  for (const Field& field : fields) {
    if (parent_of(field.key) == parent) siblings.push_back(field.leaf());
    if (field.leaf() == leaf) elsewhere.push_back(field.key);
    all.push_back(field.key);
  }
  if (const auto sibling = nearest(leaf, siblings)) {
    return fmt::format("did you mean '{}{}'?", parent, *sibling);
  }
  if (!elsewhere.empty()) return fmt::format("did you mean '{}'?", fmt::join(elsewhere, "' or '"));
  if (const auto any = nearest(key, all)) return fmt::format("did you mean '{}'?", *any);
  if (siblings.empty()) return "`weft config help` lists the keys";
  return fmt::format("legal keys here: {}", fmt::join(siblings, ", "));
}

std::string ConfigReader::Source::at(const YamlNode& node) const {
  return has_lines ? fmt::format("{}:{}:{}", name, node.line, node.column) : name;
}

const Field* ConfigReader::find(const std::string& key) const {
  const auto found = std::find_if(fields_.begin(), fields_.end(),
                                  [&key](const Field& field) { return field.key == key; });
  return found == fields_.end() ? nullptr : &*found;
}

std::string ConfigReader::unknown_key(const std::string& key) const {
  return fmt::format("unknown key {}; {}", shown(key), key_hint(fields_, key));
}

std::string ConfigReader::origin(const std::string& key) const {
  const auto found = origins_.find(key);
  return found == origins_.end() ? "" : found->second;
}

std::vector<std::string> ConfigReader::lines() const {
  std::vector<std::string> result = lines_;
  if (unlisted_ > 0) result.push_back(fmt::format("... and {} more", unlisted_));
  return result;
}

bool ConfigReader::is_faulty(const std::string& key) const {
  const size_t dot = key.rfind('.');
  return faulty_.contains(key) || (dot != std::string::npos && is_faulty(key.substr(0, dot)));
}

void ConfigReader::report(const std::string& where, const std::string& key,
                          const std::string& message) {
  if (!key.empty()) faulty_.insert(key);
  if (lines_.size() == kMostLines) {
    ++unlisted_;
    return;
  }
  lines_.push_back(key.empty() ? fmt::format("{}: {}", where, message)
                               : fmt::format("{}: {}: {}", where, key, message));
}

void ConfigReader::read_document(const YamlNode& root, const std::string& file) {
  if (root.kind == YamlNode::Kind::refused) return;
  const Source source{.name = file};
  if (root.kind == YamlNode::Kind::null) {
    report(file, "", "has no keys; `weft config help` lists them");
  } else if (root.kind != YamlNode::Kind::map) {
    report(source.at(root), "",
           fmt::format("the file is {}, not keys with values such as `name: run`",
                       kind_in_words(root.kind)));
  } else {
    read_map(root, "", source);
  }
}

void ConfigReader::read_map(const YamlNode& map, const std::string& prefix, const Source& source) {
  std::map<std::string, const YamlNode*> seen;
  for (size_t i = 0; i + 1 < map.items.size(); i += 2) {
    const YamlNode& key = map.items[i];
    const YamlNode& value = map.items[i + 1];
    if (key.kind == YamlNode::Kind::refused) continue;
    if (key.kind != YamlNode::Kind::scalar) {
      report(source.at(key), "", fmt::format("{} cannot be a key", kind_in_words(key.kind)));
      continue;
    }
    const std::string name = prefix + key.scalar.text;
    const auto [first, is_new] = seen.emplace(name, &key);
    if (!is_new) {
      report(source.at(key), "",
             fmt::format("duplicate key {}, first given in line {}; keep one", shown(name),
                         first->second->line));
      faulty_.insert(name);
      continue;
    }
    if (name == "include") continue;
    const Field* field = find(name);
    if (field == nullptr || key.scalar.text.find('.') != std::string::npos) {
      report(source.at(key), "", unknown_key(name));
      continue;
    }
    read_value(*field, key, value, source);
  }
}

void ConfigReader::read_value(const Field& field, const YamlNode& key, const YamlNode& value,
                              const Source& source) {
  using Kind = YamlNode::Kind;
  if (value.kind == Kind::refused) {
    faulty_.insert(field.key);
    return;
  }
  if (field.is_group() && value.kind == Kind::map) {
    read_map(value, field.key + ".", source);
    return;
  }
  if (field.is_list() && value.kind == Kind::list) {
    read_list(field, value, source);
    return;
  }
  if (value.kind == Kind::scalar) {
    assign_scalar(field, value.scalar, source.at(value));
  } else {
    // The position of an empty value is that of whatever follows it.
    const YamlNode& at = value.kind == Kind::null ? key : value;
    report(source.at(at), field.key,
           fmt::format("is {}; legal: {}", kind_in_words(value.kind), legal_values(field)));
  }
  origins_[field.key] = source.at(value.kind == Kind::null ? key : value);
}

void ConfigReader::assign_scalar(const Field& field, Scalar value, const std::string& where) {
  const std::string unreadable = expand(field, value);
  if (!unreadable.empty()) return report(where, field.key, unreadable);
  const auto problem = assign(field, value);
  if (problem) report(where, field.key, *problem);
}

void ConfigReader::read_list(const Field& field, const YamlNode& list, const Source& source) {
  std::vector<Scalar> values;
  bool only_scalars = true;
  for (const YamlNode& item : list.items) {
    if (item.kind == YamlNode::Kind::refused) faulty_.insert(field.key);
    if (item.kind != YamlNode::Kind::scalar) only_scalars = false;
    if (item.kind != YamlNode::Kind::scalar && item.kind != YamlNode::Kind::refused) {
      report(source.at(item), field.key,
             fmt::format("has an element that is {}; legal: {}", kind_in_words(item.kind),
                         legal_values(field)));
    }
    Scalar scalar = item.scalar;
    const std::string problem = expand(field, scalar);
    if (!problem.empty()) report(source.at(item), field.key, problem);
    only_scalars = only_scalars && problem.empty();
    values.push_back(std::move(scalar));
  }
  origins_[field.key] = source.at(list);
  if (!only_scalars) return;
  for (const ListViolation& violation : assign_list(field, values)) {
    report(source.at(list.items[violation.index]), field.key, violation.message);
  }
}

void ConfigReader::read_override(std::string_view override_text, const std::string& where) {
  const size_t equals = override_text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    report(where, "",
           fmt::format("{} is not KEY=VALUE, such as train.steps=100", shown(override_text)));
    return;
  }
  const std::string key(override_text.substr(0, equals));
  const ConfigText value = check_config_text(std::string(override_text.substr(equals + 1)));
  const Field* field = find(key);
  if (field == nullptr) {
    report(where, "", unknown_key(key));
    return;
  }
  origins_[key] = where;
  if (!value.problem.empty()) {
    report(where, key,
           fmt::format("the value is {}; legal: {}",
                       value.problem.substr(0, value.problem.find(';')), legal_values(*field)));
    return;
  }
  if (!field->is_list()) {
    assign_scalar(*field, {.text = value.text, .quoted = false}, where);
    return;
  }
  const YamlDocument document = parse_yaml(value.text);
  for (const YamlProblem& problem : document.problems) report(where, key, problem.message);
  if (document.problems.empty()) {
    read_value(*field, document.root, document.root, Source{.name = where, .has_lines = false});
    origins_[key] = where;
  }
}

}  // namespace weft
