// weft ckpt diff: where two checkpoints differ, in tensors, run state and attached files.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "core/base/json_text.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/diff.h"
#include "core/checkpoint/manifest.h"
#include "launch/commands/ckpt_parts.h"
#include "launch/config/yaml_tree.h"
#include "launch/step/run_state.h"

namespace weft {
namespace {

constexpr int kDiffer = 1;  // exit code

struct Arguments {
  std::string a;
  std::string b;
  bool weights = false;
};

using Values = std::map<std::string, std::string>;  // key -> value, both for people

void print_tensor(const TensorDifference& d) {
  if (!d.structure.empty()) {
    fmt::print("tensor {} ({}): {}\n", d.name, d.kind, d.structure);
    return;
  }
  fmt::print("tensor {} ({}): {} of {} elements differ, by at most {:.6g}\n", d.name, d.kind,
             d.different, d.elements, d.max_difference);
}

// The number of keys whose values differ, each printed.
int64_t print_values(const char* what, const Values& a, const Values& b) {
  Values all = a;
  all.insert(b.begin(), b.end());
  const auto value = [](const Values& values, const std::string& key) {
    const auto found = values.find(key);
    return found == values.end() ? "(absent)" : found->second;
  };
  int64_t different = 0;
  for (const auto& [key, ignored] : all) {
    if (value(a, key) == value(b, key)) continue;
    fmt::print("{} {}: {} in A, {} in B\n", what, key, value(a, key), value(b, key));
    ++different;
  }
  return different;
}

Values run_state(const CheckpointReader& reader) {
  Values values;
  const auto json = parse_json(reader.run_state_json());
  for (const auto& item : json.items()) {
    values[item.key()] = json_text(item.value());
  }
  return values;
}

// The scalars of a configuration under their dotted keys.
void flatten(const YamlNode& node, const std::string& key, Values& out) {
  if (node.kind == YamlNode::Kind::scalar) out[key] = node.scalar.text;
  for (size_t i = 0; i < node.items.size(); ++i) {
    if (node.kind == YamlNode::Kind::list) {
      flatten(node.items[i], fmt::format("{}[{}]", key, i), out);
    } else if (i % 2 == 1) {
      const std::string& name = node.items[i - 1].scalar.text;
      flatten(node.items[i], key.empty() ? name : fmt::format("{}.{}", key, name), out);
    }
  }
}

bool has_attached(const CheckpointReader& reader, const std::string& name) {
  const auto& files = reader.manifest().attached;
  return std::any_of(files.begin(), files.end(), [&](const auto& f) { return f.name == name; });
}

Values config(const CheckpointReader& reader) {
  Values values;
  if (!has_attached(reader, kAttachedConfig)) return values;
  flatten(parse_yaml(reader.attachment(kAttachedConfig)).root, "", values);
  return values;
}

Values attached_files(const CheckpointReader& reader) {
  Values values;
  for (const StoredFile& file : reader.manifest().attached) {
    if (file.name == kAttachedConfig) continue;  // compared key by key
    values[file.name] = fmt::format("{} bytes with digest {}", file.bytes, to_string(file.digest));
  }
  return values;
}

int run(const Arguments& args) {
  const auto a = CheckpointReader::open(resolve_checkpoint(args.a));
  const auto b = CheckpointReader::open(resolve_checkpoint(args.b));
  fmt::print("A {}\nB {}\n", a.path(), b.path());
  const TensorComparison tensors = compare_tensors(a, "A", b, "B", args.weights ? "weight" : "");
  for (const TensorDifference& d : tensors.differences) print_tensor(d);
  int64_t values = 0;
  if (!args.weights) {
    values += print_values("run state", run_state(a), run_state(b));
    values += print_values("config", config(a), config(b));
    values += print_values("attached", attached_files(a), attached_files(b));
  }
  if (tensors.differences.empty() && values == 0) {
    fmt::print("equal: {} tensors{}\n", tensors.tensors,
               args.weights ? "" : ", run state, configuration and attached files");
    return 0;
  }
  fmt::print("{} of {} tensors differ{}\n", tensors.differences.size(), tensors.tensors,
             args.weights ? "" : fmt::format(", and {} other values", values));
  return kDiffer;
}

}  // namespace

void add_ckpt_diff(Command ckpt, int& exit_code) {
  const Command app = ckpt.subcommand(
      "diff", "Where two checkpoints differ; ends with 0 when nowhere, with 1 when somewhere");
  auto args = std::make_shared<Arguments>();
  app.option("A", args->a, "A step_N directory, or a directory of them (its newest intact)")
      .path()
      .required();
  app.option("B", args->b, "The other").path().required();
  app.flag("--weights", args->weights,
           "Compare weights alone: no optimizer state, run state or attached files");
  app.run([args, &exit_code] { exit_code = run(*args); });
}

}  // namespace weft
