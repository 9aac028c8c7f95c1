// One line of JSON lines, of which one field is wanted.
//
// The line is read from left to right and the other fields are stepped over: their numbers are not
// converted (so they may be of any size, also NaN and Infinity as Python writes them), no tree is
// built of them, and lists in lists are followed 64 deep. Beside the line there is memory for the
// wanted field alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/tokenizer.h"

namespace weft {

// The text of a field.
struct JsonText {
  enum class State { text, null, missing, other };  // other: something that is no text
  State state = State::missing;
  std::string text;
  std::string first_key;  // of the object, for messages; empty in {}
};

// Finds the field in a line that is one object. Throws Error{input} that begins with `where` for
// anything else, where the field is there twice, and where its text has half of a surrogate pair,
// which stands for no character. The line must be UTF-8.
JsonText find_json_text(std::string_view line, std::string_view field, std::string_view where);

// The ids in a list. Throws as find_json_text does, where there is no such list, and where an
// element is no id below vocab_size.
void find_json_ids(std::string_view line, std::string_view field, std::string_view where,
                   int64_t vocab_size, std::vector<TokenId>& ids);

// Whether the line is one whole object with at least one key.
bool is_json_object(std::string_view line);

}  // namespace weft
