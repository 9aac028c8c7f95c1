// Texts of any length through a tokenizer, in bounded memory.
#pragma once

#include <functional>
#include <istream>
#include <span>
#include <string>

#include "data/tokenizer/tokenizer.h"
#include "data/tokenizer/utf8.h"

namespace weft {

// A text to be read to its end, and what messages call it.
struct TextSource {
  std::istream& in;
  std::string name;
};

// Gets the ids of the next part and how many bytes of text they stand for. The ids are valid during
// the call.
using IdSink = std::function<void(std::span<const TokenId> ids, size_t text_bytes)>;

// Encodes a text part by part; all ids together are those of the whole text. Memory is bounded by a
// few times the longest stretch between two safe cuts (Tokenizer::safe_cut), at least `part_bytes`.
// Throws Error{input} where the text is not UTF-8 or the vocabulary lacks a character, after the
// sink got the parts before.
void encode_parts(const Tokenizer& tokenizer, TextSource source, bool specials, const IdSink& sink,
                  size_t part_bytes = size_t{1} << 20);

// As Tokenizer::encode; the message of an error begins with `where` and, unless the text starts
// there, says that it counts from `start`.
void encode_naming(const Tokenizer& tokenizer, std::string_view text, bool specials,
                   std::string_view where, std::vector<TokenId>& out, TextPosition start = {});

}  // namespace weft
