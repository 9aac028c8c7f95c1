// The text form of a field's value: strict reading, printing, and the legal values in words.
//
// Reading is stricter than YAML: what is legal depends on the field alone, never on what a text
// happens to look like. Booleans are true and false; integers have digits only; numbers are finite
// decimals; a text in quotes is never a number, a boolean or auto.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/fields.h"

namespace weft {

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// One value as written by the user, without its quotes.
struct Scalar {
  std::string text;
  bool quoted = false;
};

// Stores `value` in the field's member. Otherwise leaves the member alone and returns what is
// wrong with the value, what would be right and the legal values, in one line. For a group or a
// list the value is always wrong.
std::optional<std::string> assign(const Field&, const Scalar& value);
// The same for one list, whose field must be a list.
struct ListViolation {
  size_t index;  // of the element at fault
  std::string message;
};
std::vector<ListViolation> assign_list(const Field&, std::span<const Scalar> values);

// The member's value as YAML on one line: `12`, `auto`, `"a b"`, `[x, y]`. assign reads it back to
// the same value. Empty for a group.
std::string value_text(const Field&);

// "an integer >= 1, or auto"; "learned or sinusoidal"; the same words as in documentation.
std::string legal_values(const Field&);

// Text quoted for a message: in single quotes, control characters escaped, shortened to a line.
std::string shown(std::string_view text);

}  // namespace weft
