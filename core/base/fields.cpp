#include "core/base/fields.h"

#include <algorithm>

namespace weft {

int Field::depth() const { return static_cast<int>(std::count(key.begin(), key.end(), '.')); }

std::string Field::leaf() const {
  const size_t dot = key.rfind('.');
  return dot == std::string::npos ? key : key.substr(dot + 1);
}

Field& FieldList::add(std::string_view name, Target target, std::string_view help) {
  return fields_.emplace_back(Field{.key = prefix_ + std::string(name),
                                    .target = std::move(target),
                                    .integers = {},
                                    .reals = {},
                                    .text = TextRule::any,
                                    .unit = {},
                                    .automatic = {},
                                    .help = std::string(help)});
}

void FieldList::key(std::string_view name, bool& member, std::string_view help) {
  add(name, &member, help);
}

void FieldList::key(std::string_view name, int64_t& member, IntRange range, std::string_view unit,
                    std::string_view help) {
  Field& field = add(name, &member, help);
  field.integers = range;
  field.unit = unit;
}

void FieldList::key(std::string_view name, double& member, RealRange range, std::string_view unit,
                    std::string_view help) {
  Field& field = add(name, &member, help);
  field.reals = range;
  field.unit = unit;
}

void FieldList::key(std::string_view name, std::string& member, TextRule rule,
                    std::string_view help) {
  add(name, &member, help).text = rule;
}

void FieldList::key(std::string_view name, std::vector<std::string>& member, TextRule rule,
                    std::string_view help) {
  add(name, &member, help).text = rule;
}

void FieldList::key(std::string_view name, std::vector<int64_t>& member, IntRange range,
                    std::string_view unit, std::string_view help) {
  Field& field = add(name, &member, help);
  field.integers = range;
  field.unit = unit;
}

void FieldList::key_auto(std::string_view name, std::optional<int64_t>& member, IntRange range,
                         std::string_view unit, std::string_view automatic, std::string_view help) {
  Field& field = add(name, &member, help);
  field.integers = range;
  field.unit = unit;
  field.automatic = automatic;
}

void FieldList::key_auto(std::string_view name, std::optional<std::string>& member, TextRule rule,
                         std::string_view automatic, std::string_view help) {
  Field& field = add(name, &member, help);
  field.text = rule;
  field.automatic = automatic;
}

void FieldList::add_choice(std::string_view name, Choice choice, std::string_view help) {
  add(name, std::move(choice), help);
}

std::string FieldList::begin_group(std::string_view name, std::string_view help) {
  add(name, Group{}, help);
  std::string outer = prefix_;
  prefix_ += std::string(name) + ".";
  return outer;
}

}  // namespace weft
