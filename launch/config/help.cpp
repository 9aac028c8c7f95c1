#include "launch/config/help.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/field_text.h"
#include "launch/config/reader.h"

namespace weft {

namespace {

// "an integer from 1 to 10 (steps), or auto" with the unit where there is one.
std::string legal_with_unit(const Field& field) {
  std::string legal = legal_values(field);
  if (!field.unit.empty()) legal += fmt::format("; in {}", field.unit);
  return legal;
}

std::string default_text(const Field& field) {
  const std::string value = value_text(field);
  if (value != "auto" || field.automatic.empty()) return value;
  return fmt::format("auto ({})", field.automatic);
}

std::string describe(const Field& field) {
  if (field.is_group()) return fmt::format("{}: {}\n", field.key, field.help);
  std::string text = fmt::format("{}\n    {}\n    legal: {}\n    default: {}\n", field.key,
                                 field.help, legal_with_unit(field), default_text(field));
  if (!field.automatic.empty() && value_text(field) != "auto") {
    text += fmt::format("    auto is: {}\n", field.automatic);
  }
  return text;
}

void append_table_row(const Field& field, std::string& out) {
  out += fmt::format("| `{}` | {} | `{}` | {}{} |\n", field.key, legal_with_unit(field),
                     value_text(field), field.help,
                     field.automatic.empty() ? "" : fmt::format(" auto: {}.", field.automatic));
}

constexpr std::string_view kTableHead =
    "\n| key | legal values | default | what it does |\n| --- | --- | --- | --- |\n";

constexpr std::string_view kIntroduction = R"(# Configuration reference

<!-- Made by `weft config docs` from the field lists of the config structs; do not edit. -->

A run is described by one YAML file: `weft train FILE [--set KEY=VALUE ...]`.
`weft config show FILE [--set KEY=VALUE ...]` checks it and prints every key with its effective
value; `weft config help [KEY]` prints what is written here. A mistake ends the program with exit
code 2 before anything starts, and all mistakes are reported at once, each with its file, line and
column.

- `include: other.yaml`, or a list of files, takes over the values of other files. Their paths are
  relative to the file that names them. Later files win over earlier ones, and the file's own keys
  over all of them. A list replaces a list as a whole.
- `--set KEY=VALUE` sets one key by its full name, such as `--set train.steps=100` or
  `--set data.train=[a, b]`, after all files; of two for one key the later one wins.
- Values are read strictly: `true` and `false`; integers in digits alone (`1000`, not `1e3`, `010`
  or `1_000`); finite decimal numbers (`0.1`, `1e-5`). Quotes make a text. Anchors, aliases, tags and
  duplicate keys are refused.
- Paths of data and output are relative to the current directory. In a path a leading `~` is the home
  directory, and `$NAME` and `${NAME}` are variables of the environment, of which one that is not set is refused; `$$` is a dollar sign.
)";

}  // namespace

std::string config_help(const std::optional<std::string>& key) {
  RunConfig defaults;
  const std::vector<Field> fields = fields_of(defaults);
  std::string text;
  for (const Field& field : fields) {
    const bool below = key && field.key.rfind(*key + ".", 0) == 0;
    if (key && field.key != *key && !below) continue;
    if (field.is_group() && !text.empty()) text += '\n';
    text += describe(field);
  }
  if (text.empty()) {
    fail(ErrorKind::config, "unknown key {}; {}", shown(*key), key_hint(fields, *key));
  }
  return text;
}

std::string config_docs() {
  RunConfig defaults;
  std::string text(kIntroduction);
  bool in_table = false;
  for (const Field& field : fields_of(defaults)) {
    if (field.is_group()) {
      text += fmt::format("\n## {}\n\n{}\n", field.key, field.help);
      in_table = false;
      continue;
    }
    if (!in_table && field.depth() == 0) text += "\n## The run\n";
    if (!in_table) text += kTableHead;
    in_table = true;
    append_table_row(field, text);
  }
  return text;
}

}  // namespace weft
