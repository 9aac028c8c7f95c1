// Printing: values, ranges and quoted texts.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/base/error.h"
#include "core/base/field_text.h"

namespace weft {

namespace {

// Shortest text that reads back to the same number: 0.1, 1e-5, 6e-4 as 0.0006.
std::string real_text(double value) {
  char buffer[64];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  WEFT_CHECK(error == std::errc(), "a double did not fit {} characters", sizeof buffer);
  std::string text(buffer, end);
  const size_t e = text.find('e');
  if (e == std::string::npos) return text;
  size_t digits = text.find_first_not_of("+-0", e + 1);
  const bool negative = text[e + 1] == '-';
  return text.substr(0, e + 1) + (negative ? "-" : "") + text.substr(digits);
}

std::string in_range(const IntRange& range) {
  constexpr IntRange kAny;
  if (range.min == kAny.min && range.max == kAny.max) return "an integer";
  if (range.max == kAny.max) return fmt::format("an integer >= {}", range.min);
  if (range.min == kAny.min) return fmt::format("an integer <= {}", range.max);
  return fmt::format("an integer from {} to {}", range.min, range.max);
}

std::string in_range(const RealRange& range) {
  std::string text = "a number";
  if (std::isfinite(range.min)) {
    text += fmt::format(" {} {}", range.open_min ? ">" : ">=", real_text(range.min));
  }
  if (!std::isfinite(range.max)) return text;
  if (std::isfinite(range.min)) text += " and";
  return text + fmt::format(" {} {}", range.open_max ? "<" : "<=", real_text(range.max));
}

std::string in_words(TextRule rule) {
  switch (rule) {
    case TextRule::any:
      return "a text";
    case TextRule::path:
      return "a path";
    case TextRule::file_name:
      return "a name of letters, digits, '.', '_' and '-' that does not start with '.'";
  }
  WEFT_CHECK(false, "no such TextRule");
}

std::string text_of(bool value) { return value ? "true" : "false"; }
std::string text_of(int64_t value) { return std::to_string(value); }
std::string text_of(double value) { return real_text(value); }

// Plain where every YAML reader takes it as a text, else in double quotes.
std::string text_of(const std::string& value) {
  const auto plain = [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == '-' || c == '/';
  };
  constexpr std::string_view kWords[] = {"null", "true", "false", "yes", "no", "on",
                                         "off",  "auto", "y",     "n",   ".",  ".."};
  std::string lower = value;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  const bool safe = !value.empty() && std::all_of(value.begin(), value.end(), plain) &&
                    !is_digit(value[0]) && value[0] != '-' &&
                    (value[0] != '.' || value.find('/') != std::string::npos) &&
                    std::find(std::begin(kWords), std::end(kWords), lower) == std::end(kWords);
  if (safe) return value;
  std::string quoted = "\"";
  for (const char c : value) {
    if (is_control(c)) {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string text_of(const Choice& choice) { return std::string(choice.names.at(choice.get())); }

template <typename T>
std::string text_of(const std::optional<T>& value) {
  return value ? text_of(*value) : "auto";
}
template <typename T>
std::string text_of(const std::vector<T>& values) {
  std::vector<std::string> texts;
  for (const T& value : values) texts.push_back(text_of(value));
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

struct Printer {
  std::string operator()(Group) const { return {}; }
  std::string operator()(const Choice& choice) const { return text_of(choice); }
  template <typename T>
  std::string operator()(const T* member) const {
    return text_of(*member);
  }
};

struct Describer {
  const Field& field;
  std::string operator()(Group) const { return "a group of keys"; }
  std::string operator()(bool*) const { return "true or false"; }
  std::string operator()(int64_t*) const { return in_range(field.integers); }
  std::string operator()(double*) const { return in_range(field.reals); }
  std::string operator()(std::string*) const { return in_words(field.text); }
  std::string operator()(std::optional<int64_t>*) const {
    return in_range(field.integers) + ", or auto";
  }
  std::string operator()(std::optional<std::string>*) const {
    return in_words(field.text) + ", or auto";
  }
  std::string operator()(std::vector<std::string>*) const {
    return "a list such as [a, b], each " + in_words(field.text);
  }
  std::string operator()(std::vector<int64_t>*) const {
    return "a list such as [1, 2], each " + in_range(field.integers);
  }
  std::string operator()(const Choice& choice) const {
    return fmt::format("{}", fmt::join(choice.names, ", "));
  }
};

}  // namespace

std::string value_text(const Field& field) { return std::visit(Printer{}, field.target); }

std::string legal_values(const Field& field) { return std::visit(Describer{field}, field.target); }

std::string shown(std::string_view text) {
  constexpr size_t kLongest = 60;
  std::string result = "'";
  for (const char c : text.substr(0, kLongest)) {
    if (is_control(c)) {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      result += c;
    }
  }
  if (text.size() > kLongest) {
    // A cut may have left the first bytes of a UTF-8 character: drop the character.
    const auto top_bits = [&result] { return static_cast<unsigned char>(result.back()) & 0xc0; };
    while (top_bits() == 0x80) result.pop_back();
    if (top_bits() == 0xc0) result.pop_back();
    result += "...";
  }
  return result + "'";
}

}  // namespace weft
