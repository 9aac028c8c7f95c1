// ConfigReader: YAML trees and overrides into a RunConfig, remembering every violation and where
// each value came from.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/field_text.h"
#include "core/base/fields.h"
#include "launch/config/run_config.h"
#include "launch/config/yaml_tree.h"

namespace weft {

class ConfigReader {
 public:
  // Values go to `config`, which must outlive the reader.
  explicit ConfigReader(RunConfig& config) : fields_(fields_of(config)) {}

  // Stores the values of one document; `file` names it in messages. The key `include` of the top
  // level is the caller's. A value that violates anything is not stored.
  void read_document(const YamlNode& root, const std::string& file);

  // Stores one override, "key=value"; `where` names it in messages. The value of a list is YAML
  // ("[a, b]"); every other value is taken as it stands.
  void read_override(std::string_view override_text, const std::string& where);

  // Records a violation found elsewhere; `key` may be empty.
  void report(const std::string& where, const std::string& key, const std::string& message);

  // One line per violation; after the fortieth, a last line that counts the others.
  std::vector<std::string> lines() const;
  // Whether the value of `key`, or a group around it, violates anything.
  bool is_faulty(const std::string& key) const;
  // Where the value of `key` was set; empty for a default.
  std::string origin(const std::string& key) const;

 private:
  struct Source {  // what a tree was read from
    std::string name;
    bool has_lines = true;  // an override has none
    std::string at(const YamlNode& node) const;
  };
  void read_map(const YamlNode& map, const std::string& prefix, const Source& source);
  void read_value(const Field& field, const YamlNode& key, const YamlNode& value,
                  const Source& source);
  void assign_scalar(const Field& field, Scalar value, const std::string& where);
  void read_list(const Field& field, const YamlNode& list, const Source& source);
  const Field* find(const std::string& key) const;
  std::string unknown_key(const std::string& key) const;  // the message

  std::vector<Field> fields_;
  std::vector<std::string> lines_;
  size_t unlisted_ = 0;  // violations beyond those in lines_
  std::set<std::string> faulty_;
  std::map<std::string, std::string> origins_;
};

// "did you mean 'model.layers'?", or the keys there are; for a key that is not one of `fields`.
std::string key_hint(const std::vector<Field>& fields, const std::string& key);

}  // namespace weft
