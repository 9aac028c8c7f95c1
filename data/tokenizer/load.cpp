// load_tokenizer: from a kind and paths to a tokenizer.
#include "core/base/error.h"
#include "data/tokenizer/byte_tokenizer.h"
#include "data/tokenizer/files.h"
#include "data/tokenizer/tokenizer.h"
#include "data/tokenizer/utf8.h"

namespace weft {
namespace {

std::unique_ptr<Tokenizer> load_char(const TokenizerSpec& spec) {
  if (spec.vocab.empty()) {
    fail(ErrorKind::usage, "tokenizer 'char' needs vocab: a text that has every character");
  }
  const std::string text = tokenizer_detail::read_file(spec.vocab, "vocabulary text");
  require_utf8(text, spec.vocab);
  return char_tokenizer_from_text(text);
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const TokenizerSpec& spec) {
  if (spec.kind == "byte") return std::make_unique<ByteTokenizer>();
  if (spec.kind == "char") return load_char(spec);
  fail(ErrorKind::usage, "unknown tokenizer '{}'; the kinds are byte, char", spec.kind);
}

}  // namespace weft
