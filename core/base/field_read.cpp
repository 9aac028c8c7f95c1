// Reading: one scalar, or one list of them, into the member of a field.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/base/error.h"
#include "core/base/field_text.h"
#include "core/base/nearest.h"

namespace weft {

namespace {

using Problem = std::optional<std::string>;

bool parse_real(std::string_view text, double& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

// -?(0|[1-9][0-9]*)
bool is_integer(std::string_view text) {
  if (!text.empty() && text[0] == '-') text.remove_prefix(1);
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return false;
  return std::all_of(text.begin(), text.end(), is_digit);
}

// -?(0|[1-9][0-9]*|)(.[0-9]*)?([eE][+-]?[0-9]+)? with at least one digit before the exponent.
bool is_real(std::string_view text) {
  size_t i = 0;
  const auto digits = [&] {
    const size_t start = i;
    while (i < text.size() && is_digit(text[i])) ++i;
    return i - start;
  };
  if (i < text.size() && text[i] == '-') ++i;
  const size_t first = i;
  const size_t whole = digits();
  if (whole > 1 && text[first] == '0') return false;
  size_t fraction = 0;
  if (i < text.size() && text[i] == '.') {
    ++i;
    fraction = digits();
  }
  if (whole + fraction == 0) return false;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
    if (digits() == 0) return false;
  }
  return i == text.size();
}

// The integer that a text such as 1e3, 3.0, 1_000 or 010 was probably meant to be.
std::string integer_hint(std::string_view text) {
  std::string plain;
  std::copy_if(text.begin(), text.end(), std::back_inserter(plain),
               [](char c) { return c != '_' && c != ',' && c != '+'; });
  double value = 0;
  if (!parse_real(plain, value) || std::abs(value) > 1e15) return {};
  if (value != std::floor(value)) return {};
  return fmt::format(" (write {})", static_cast<int64_t>(value));
}

Problem read(const Field& field, const Scalar& value, int64_t& member) {
  const std::string& text = value.text;
  if (value.quoted) return "is a text in quotes, not an integer";
  if (!is_integer(text)) return "is not an integer" + integer_hint(text);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < field.integers.min || number > field.integers.max) {
    return "is out of range";
  }
  member = number;
  return std::nullopt;
}

Problem read(const Field& field, const Scalar& value, double& member) {
  if (value.quoted) return "is a text in quotes, not a number";
  std::string lower = value.text;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const size_t word = lower.find_first_not_of("+-.");
  const std::string bare = word == std::string::npos ? "" : lower.substr(word);
  if (bare == "nan" || bare == "inf" || bare == "infinity") return "is not a finite number";
  if (!is_real(value.text)) return "is not a number";
  double number = 0;
  if (!parse_real(value.text, number)) return "is too large or too small for a double";
  const RealRange& range = field.reals;
  const bool low = range.open_min ? number <= range.min : number < range.min;
  const bool high = range.open_max ? number >= range.max : number > range.max;
  if (low || high) return "is out of range";
  member = number;
  return std::nullopt;
}

Problem read(const Field&, const Scalar& value, bool& member) {
  if (value.quoted) return "is a text in quotes, not true or false";
  if (value.text != "true" && value.text != "false") return "is neither true nor false";
  member = value.text == "true";
  return std::nullopt;
}

Problem read(const Field& field, const Scalar& value, std::string& member) {
  const std::string& text = value.text;
  if (std::any_of(text.begin(), text.end(), is_control)) return "has a control character";
  if (field.text != TextRule::any && text.empty()) return "is empty";
  if (field.text == TextRule::file_name) {
    const bool legal = std::all_of(text.begin(), text.end(), [](char c) {
      return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
             c == '_' || c == '-';
    });
    constexpr size_t kLongestFileName = 200;
    if (!legal || text[0] == '.') return "cannot be a file name here";
    if (text.size() > kLongestFileName) return "is longer than 200 characters";
  }
  member = text;
  return std::nullopt;
}

Problem read(const Field&, const Scalar& value, const Choice& choice) {
  const auto found = std::find(choice.names.begin(), choice.names.end(), value.text);
  if (found != choice.names.end()) {
    choice.set(static_cast<size_t>(found - choice.names.begin()));
    return std::nullopt;
  }
  const std::vector<std::string> names(choice.names.begin(), choice.names.end());
  const auto meant = nearest(value.text, names);
  return "is not a value" + (meant ? fmt::format(" (did you mean {}?)", *meant) : "");
}

template <typename T>
Problem read(const Field& field, const Scalar& value, std::optional<T>& member) {
  if (!value.quoted && value.text == "auto") {
    member.reset();
    return std::nullopt;
  }
  T set{};
  const Problem problem = read(field, value, set);
  if (!problem) member = set;
  return problem;
}

// Reads one scalar into the member of a field.
struct Reader {
  const Field& field;
  const Scalar& value;
  Problem operator()(Group) const { return "is a value, but this is a group of keys"; }
  Problem operator()(std::vector<std::string>*) const { return "is not a list"; }
  Problem operator()(std::vector<int64_t>*) const { return "is not a list"; }
  Problem operator()(const Choice& choice) const { return read(field, value, choice); }
  template <typename T>
  Problem operator()(T* member) const {
    return read(field, value, *member);
  }
};

std::string with_legal_values(const Field& field, const Scalar& value, const std::string& problem) {
  return fmt::format("{} {}; legal: {}", shown(value.text), problem, legal_values(field));
}

template <typename T>
std::vector<ListViolation> read_list(const Field& field, std::span<const Scalar> values,
                                     std::vector<T>& member) {
  std::vector<ListViolation> violations;
  std::vector<T> elements(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const Problem problem = read(field, values[i], elements[i]);
    if (problem) violations.push_back({i, with_legal_values(field, values[i], *problem)});
  }
  if (violations.empty()) member = std::move(elements);
  return violations;
}

}  // namespace

std::optional<std::string> assign(const Field& field, const Scalar& value) {
  const Problem problem = std::visit(Reader{field, value}, field.target);
  if (!problem) return std::nullopt;
  return with_legal_values(field, value, *problem);
}

std::vector<ListViolation> assign_list(const Field& field, std::span<const Scalar> values) {
  if (auto* const* texts = std::get_if<std::vector<std::string>*>(&field.target)) {
    return read_list(field, values, **texts);
  }
  auto* const* integers = std::get_if<std::vector<int64_t>*>(&field.target);
  WEFT_CHECK(integers != nullptr, "{} is not a list", field.key);
  return read_list(field, values, **integers);
}

}  // namespace weft
