// Tokenizers: text to token ids and back.
//
//   auto tokenizer = load_tokenizer({.kind = "gpt2", .vocab = "vocab.json", .merges =
//   "merges.txt"}); std::vector<TokenId> ids; tokenizer->encode("Hello", /*specials=*/false, ids);
//
// Text is UTF-8 and checked by whoever reads it (utf8.h). Special-token strings inside text are
// plain text unless the caller says otherwise, so that a document cannot inject a separator.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

using TokenId = int32_t;

// A file that save_tokenizer writes beside tokenizer.json.
struct TokenizerFile {
  std::string name;
  std::string bytes;
};

// Immutable after construction; const methods may be called from several threads at once.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Ids are in [0, vocab_size). Some vocabularies leave ids unused; decode refuses those.
  virtual int64_t vocab_size() const = 0;

  // Appends the ids of `text` to `out`. With `specials`, special-token strings in the text become
  // their ids; without, they are text like any other. Bytes that are not UTF-8 are encoded in an
  // unspecified way, but safely. Throws Error{input} where the vocabulary has no id for a character
  // (char tokenizer only).
  virtual void encode(std::string_view text, bool specials, std::vector<TokenId>& out) const = 0;

  // Whether the id stands for something, so that decode takes it.
  virtual bool has(TokenId id) const = 0;

  // Appends the bytes of `ids` to `out`; a cut through a token sequence may end inside a character.
  // Throws Error{input} on an id outside the vocabulary.
  virtual void decode(std::span<const TokenId> ids, std::string& out) const = 0;

  // The largest n for which the ids of text[0, n) followed by those of text[n, ...) are those of
  // the whole text, whatever follows it, so that a long text can be encoded in parts; 0 where no
  // such place is found. Takes UTF-8 whose last character may be cut short.
  virtual size_t safe_cut(std::string_view text) const = 0;

  virtual std::optional<TokenId> end_of_text() const = 0;  // document separator, if there is one
  virtual std::string digest() const = 0;       // XXH3-128, hex, of everything that determines ids
  virtual std::string description() const = 0;  // "gpt2 BPE, 50257 tokens"

  virtual std::string kind() const = 0;                  // as in TokenizerSpec
  virtual std::vector<TokenizerFile> files() const = 0;  // what open_tokenizer rebuilds it from
};

// Which tokenizer, and the paths of the files that define it:
//   byte    no file
//   char    vocab: a UTF-8 text; its distinct code points are the vocabulary
//   gpt2    vocab + merges: vocab.json and merges.txt; or ranks, which is then r50k
//   r50k    ranks: the tiktoken file r50k_base.tiktoken
//   cl100k  ranks: the tiktoken file cl100k_base.tiktoken
struct TokenizerSpec {
  std::string kind;
  std::string vocab;
  std::string merges;
  std::string ranks;
};

// Throws Error{input} on a missing, damaged or unfitting file, Error{usage} on an unknown kind or a
// path that is missing from the spec.
std::unique_ptr<Tokenizer> load_tokenizer(const TokenizerSpec& spec);

// The vocabulary is the sorted distinct code points of `text`. Throws Error{input} where `text` is
// empty or not UTF-8.
std::unique_ptr<Tokenizer> char_tokenizer_from_text(std::string_view text);

// tokenizer.json (kind, digest, file list) and the tokenizer's files: what open_tokenizer reads.
std::vector<TokenizerFile> stored_files(const Tokenizer& tokenizer);

// Writes stored_files into an existing directory, each by rename. Throws Error{io}.
void save_tokenizer(const Tokenizer& tokenizer, const std::string& directory);

// Inverse of save_tokenizer. Throws Error{input} where a file is missing, damaged, or gives another
// digest than the one recorded.
std::unique_ptr<Tokenizer> open_tokenizer(const std::string& directory);

}  // namespace weft
