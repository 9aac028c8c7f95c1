#include "launch/config/load.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "core/base/error.h"
#include "core/base/field_text.h"
#include "launch/config/config_file.h"
#include "launch/config/cross_check.h"
#include "launch/config/path_text.h"
#include "launch/config/reader.h"
#include "launch/config/yaml_tree.h"

namespace weft {

namespace {

namespace fs = std::filesystem;

constexpr size_t kDeepestInclude = 8;
constexpr size_t kMostFiles = 64;

// Reads a file with everything that it includes, includes first.
class FileLoader {
 public:
  explicit FileLoader(ConfigReader& reader) : reader_(reader) {}

  // A text that stands alone, called `path` in messages.
  void load_text(std::string text, const std::string& path) {
    const ConfigText checked = check_config_text(std::move(text));
    if (!checked.problem.empty()) return report(path, path, checked);
    includes_ = false;
    read(parse_yaml(checked.text), path);
  }

  // `where` is the place that names the file: the file itself, or the include.
  void load(const std::string& path, const std::string& where) {
    if (!enter(path, where)) return;
    const ConfigText text = read_config_file(path);
    if (!text.problem.empty()) {
      report(where, path, text);
    } else {
      read(parse_yaml(text.text), path);
    }
    open_.pop_back();
  }

  // False if a part of the configuration could not be read at all.
  bool complete() const { return complete_; }

 private:
  // Puts the file onto the chain of open files, unless an include cannot go there.
  bool enter(const std::string& path, const std::string& where) {
    std::error_code ignored;
    const fs::path canonical = fs::weakly_canonical(path, ignored);
    std::string problem;
    if (std::find(open_.begin(), open_.end(), canonical) != open_.end()) {
      problem = fmt::format("include: {} includes itself", path);
    } else if (open_.size() >= kDeepestInclude) {
      problem = fmt::format("include: nested more than {} deep", kDeepestInclude);
    } else if (++files_ > kMostFiles) {
      problem = fmt::format("include: more than {} files", kMostFiles);
    }
    if (problem.empty()) {
      open_.push_back(canonical);
      return true;
    }
    fail_at(where, problem);
    return false;
  }

  void report(const std::string& where, const std::string& path, const ConfigText& text) {
    if (text.line > 0) {
      fail_at(fmt::format("{}:{}:{}", path, text.line, text.column), text.problem);
    } else {
      fail_at(where,
              where == path ? text.problem : fmt::format("include: {}: {}", path, text.problem));
    }
  }

  void read(const YamlDocument& document, const std::string& path) {
    for (const YamlProblem& problem : document.problems) {
      const std::string where =
          problem.line > 0 ? fmt::format("{}:{}:{}", path, problem.line, problem.column) : path;
      reader_.report(where, "", problem.message);
    }
    if (document.root.kind == YamlNode::Kind::refused) complete_ = false;
    if (document.root.kind == YamlNode::Kind::map) read_includes(document.root, path);
    reader_.read_document(document.root, path);
  }

  void read_includes(const YamlNode& root, const std::string& path) {
    for (size_t i = 0; i + 1 < root.items.size(); i += 2) {
      const YamlNode& key = root.items[i];
      const YamlNode& value = root.items[i + 1];
      if (key.kind != YamlNode::Kind::scalar || key.scalar.text != "include") continue;
      if (!includes_) {
        fail_at(fmt::format("{}:{}:{}", path, key.line, key.column),
                "include: not in a configuration that travels with a checkpoint");
        return;
      }
      if (value.kind == YamlNode::Kind::list) {
        for (const YamlNode& item : value.items) include(item, path);
      } else {
        include(value.kind == YamlNode::Kind::null ? key : value, path, value.kind);
      }
      return;  // a duplicate is reported with the other keys
    }
  }

  void include(const YamlNode& at, const std::string& includer) { include(at, includer, at.kind); }
  void include(const YamlNode& at, const std::string& includer, YamlNode::Kind kind) {
    const std::string where = fmt::format("{}:{}:{}", includer, at.line, at.column);
    if (kind == YamlNode::Kind::refused) {
      complete_ = false;
    } else if (kind != YamlNode::Kind::scalar || at.scalar.text.empty()) {
      fail_at(where,
              "include: not a path; legal: a path, or a list of paths such as [a.yaml, b.yaml]");
    } else {
      const PathText text = expand_path(at.scalar.text);
      if (!text.problem.empty()) {
        return fail_at(where, fmt::format("include: {} {}", shown(at.scalar.text), text.problem));
      }
      const fs::path path = fs::path(includer).parent_path() / text.path;
      load(path.lexically_normal().string(), where);
    }
  }

  void fail_at(const std::string& where, const std::string& problem) {
    complete_ = false;
    reader_.report(where, "", problem);
  }

  ConfigReader& reader_;
  std::vector<fs::path> open_;  // the file being read, below those that include it
  size_t files_ = 0;
  bool includes_ = true;
  bool complete_ = true;
};

void report_cross_checks(const RunConfig& config, std::optional<int64_t> world_size,
                         const std::string& path, ConfigReader& reader) {
  for (const Violation& violation : cross_check(config, world_size)) {
    const auto faulty = [&reader](const std::string& key) { return reader.is_faulty(key); };
    if (std::any_of(violation.keys.begin(), violation.keys.end(), faulty)) continue;
    std::string where = path;
    for (auto key = violation.keys.rbegin(); key != violation.keys.rend(); ++key) {
      if (!reader.origin(*key).empty()) where = reader.origin(*key);
    }
    reader.report(where, violation.keys.front(), violation.message);
  }
}

void throw_violations(const ConfigReader& reader) {
  const std::vector<std::string> violations = reader.lines();
  if (!violations.empty()) fail(ErrorKind::config, "{}", fmt::join(violations, "\n"));
}

}  // namespace

RunConfig load_config(const std::string& path, std::span<const std::string> sets,
                      std::optional<int64_t> world_size) {
  RunConfig config;
  ConfigReader reader(config);
  FileLoader loader(reader);
  loader.load(path, path);
  for (size_t i = 0; i < sets.size(); ++i) {
    reader.read_override(sets[i], fmt::format("--set #{}", i + 1));
  }
  if (loader.complete()) report_cross_checks(config, world_size, path, reader);
  throw_violations(reader);
  return config;
}

RunConfig parse_config(std::string text, const std::string& path) {
  RunConfig config;
  ConfigReader reader(config);
  FileLoader loader(reader);
  loader.load_text(std::move(text), path);
  if (loader.complete()) report_cross_checks(config, std::nullopt, path, reader);
  throw_violations(reader);
  return config;
}

}  // namespace weft
