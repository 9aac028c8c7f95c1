// The text formats of `weft tokenize` and `weft detokenize`.
//
//   plain: the ids of the whole text on one line, separated by spaces
//   JSONL: one object a line, {"text": "..."} for text, {"ids": [...]} for ids
#pragma once

#include <functional>
#include <string_view>

#include "data/tokenizer/parts.h"
#include "data/tokenizer/tokenizer.h"

namespace weft {

// Gets output bytes in pieces of any size, to be written one after the other.
using ByteSink = std::function<void(std::string_view bytes)>;

// Text -> one line of ids; memory as encode_parts.
void tokenize_text(const Tokenizer& tokenizer, TextSource source, bool specials,
                   const ByteSink& sink);

// Ids separated by white space -> the bytes they stand for, and nothing else; in bounded memory.
// Throws Error{input} on a word that is not an id or an id outside the vocabulary.
void detokenize_text(const Tokenizer& tokenizer, TextSource source, const ByteSink& sink);

// {"text": "..."} a line -> {"ids": [...]} a line; memory for the longest line. Other fields are
// ignored, a text that is null has no ids. Throws Error{input} with the line number.
void tokenize_jsonl(const Tokenizer& tokenizer, TextSource source, bool specials,
                    const ByteSink& sink);

// {"ids": [...]} a line -> {"text": "..."} a line. Throws Error{input} with the line number, also
// where the ids of a line do not make UTF-8, which JSON could not hold.
void detokenize_jsonl(const Tokenizer& tokenizer, TextSource source, const ByteSink& sink);

}  // namespace weft
