// Fields: the one description of a config struct that parser, printer, validation, help and
// docs/config.md are made from.
//
// A config struct lists each key once, in the order in which it is printed; the default of a key
// is the initializer of its member:
//
//   struct OptimizerConfig {
//     double beta1 = 0.9;
//     std::optional<int64_t> block;
//     void fields(FieldList& list) {
//       list.key("beta1", beta1, at_least_below(0.0, 1.0), "", "Decay of the gradient average.");
//       list.key_auto("block", block, at_least(1), "elements", "the whole row", "Block size.");
//     }
//   };
//
// An enum of named values declares its names beside itself, in the order of its enumerators 0, 1,
// ..., found by argument-dependent lookup (as a friend where the enum is nested in a struct):
//
//   friend constexpr auto enum_names(Kind) { return named_values("cosine", "linear"); }
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace weft {

struct IntRange {  // min and max are legal
  int64_t min = std::numeric_limits<int64_t>::min();
  int64_t max = std::numeric_limits<int64_t>::max();
};
struct RealRange {  // an open end is not legal itself
  double min = 0;
  double max = std::numeric_limits<double>::infinity();
  bool open_min = false;
  bool open_max = false;
};

constexpr IntRange at_least(std::integral auto min) { return {.min = min}; }
constexpr IntRange between(std::integral auto min, std::integral auto max) {
  return {.min = min, .max = max};
}
constexpr RealRange at_least(double min) { return {.min = min}; }
constexpr RealRange above(double min) { return {.min = min, .open_min = true}; }
constexpr RealRange between(double min, double max) { return {.min = min, .max = max}; }
constexpr RealRange at_least_below(double min, double max) {
  return {.min = min, .max = max, .open_max = true};
}

// What a text may be, beyond UTF-8 without control characters.
enum class TextRule {
  any,        // also empty
  path,       // not empty
  file_name,  // one component of a path: letters, digits, '.', '_', '-', not starting with '.'
};

template <typename... Names>
constexpr std::array<std::string_view, sizeof...(Names)> named_values(Names... names) {
  return {std::string_view(names)...};
}
template <typename E>
concept NamedEnum = std::is_enum_v<E> && requires(E value) {
  enum_names(value).size();
};

template <NamedEnum E>
constexpr std::string_view enum_name(E value) {
  return enum_names(value)[static_cast<size_t>(value)];
}

// A member of enum type, by position in its list of names.
struct Choice {
  std::vector<std::string_view> names;
  std::function<size_t()> get;
  std::function<void(size_t)> set;
};
struct Group {};

// The member that a field stands for. A std::optional without a value is the key's `auto`.
using Target = std::variant<Group, bool*, int64_t*, std::optional<int64_t>*, double*, std::string*,
                            std::optional<std::string>*, std::vector<std::string>*,
                            std::vector<int64_t>*, Choice>;

// One key of a config, or one group of keys. Points into the struct that listed it and is valid as
// long as that struct neither moves nor dies.
struct Field {
  std::string key;        // dotted: "model.layers"
  Target target;          // Group for a group
  IntRange integers;      // legal values of integer targets
  RealRange reals;        // legal values of real targets
  TextRule text;          // legal values of text targets
  std::string unit;       // "tokens", "steps"; empty for a pure number
  std::string automatic;  // what auto stands for; empty where auto is not a value
  std::string help;       // one line

  bool is_group() const { return std::holds_alternative<Group>(target); }
  bool is_list() const {
    return std::holds_alternative<std::vector<std::string>*>(target) ||
           std::holds_alternative<std::vector<int64_t>*>(target);
  }
  int depth() const;         // 0 for "name", 1 for "model.layers"
  std::string leaf() const;  // "layers" of "model.layers"
};

class FieldList {
 public:
  void key(std::string_view name, bool& member, std::string_view help);
  void key(std::string_view name, int64_t& member, IntRange, std::string_view unit,
           std::string_view help);
  void key(std::string_view name, double& member, RealRange, std::string_view unit,
           std::string_view help);
  void key(std::string_view name, std::string& member, TextRule, std::string_view help);
  void key(std::string_view name, std::vector<std::string>& member, TextRule,
           std::string_view help);
  void key(std::string_view name, std::vector<int64_t>& member, IntRange, std::string_view unit,
           std::string_view help);
  template <NamedEnum E>
  void key(std::string_view name, E& member, std::string_view help) {
    const auto names = enum_names(member);
    add_choice(name,
               {.names = {names.begin(), names.end()},
                .get = [&member] { return static_cast<size_t>(member); },
                .set = [&member](size_t index) { member = static_cast<E>(index); }},
               help);
  }
  // Keys that may also be `auto`; `automatic` says what that stands for.
  void key_auto(std::string_view name, std::optional<int64_t>& member, IntRange,
                std::string_view unit, std::string_view automatic, std::string_view help);
  void key_auto(std::string_view name, std::optional<std::string>& member, TextRule,
                std::string_view automatic, std::string_view help);
  // The keys of a nested struct, below `name`.
  template <typename S>
  void group(std::string_view name, S& nested, std::string_view help) {
    const std::string outer = begin_group(name, help);
    nested.fields(*this);
    prefix_ = outer;
  }

  // Every field in the order listed, each group before its keys.
  std::vector<Field> take() { return std::move(fields_); }

 private:
  Field& add(std::string_view name, Target target, std::string_view help);
  void add_choice(std::string_view name, Choice choice, std::string_view help);
  std::string begin_group(std::string_view name, std::string_view help);  // the prefix before

  std::string prefix_;
  std::vector<Field> fields_;
};

// The fields of `config`, which must outlive them.
template <typename S>
std::vector<Field> fields_of(S& config) {
  FieldList list;
  config.fields(list);
  return list.take();
}

}  // namespace weft
