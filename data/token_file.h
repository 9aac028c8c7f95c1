// Token files: a long sequence of token ids on disk, read by position.
//
//   const auto tokens = open_tokens("runs/data/train", DataConfig::Format::automatic);
//   require_vocabulary(*tokens, model_vocab_size);
//   std::vector<TokenId> ids(65);
//   tokens->read(1000, ids);
//
// Layouts byte for byte: docs/data.md. Headers, sizes and indices are checked when a file is
// opened; every read checks again that the file is still long enough and that no id exceeds the
// largest one known, because an id outside the model's vocabulary reads outside its embedding.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/data_config.h"
#include "data/token_code.h"
#include "data/tokenizer/tokenizer.h"

namespace weft {

// The largest id of a file and where it first occurs; -1, -1 in a file without tokens.
struct LargestToken {
  TokenId id = -1;
  int64_t position = -1;
};

struct TokenInfo {
  std::string path;                   // as given
  std::string description;            // "runs/data/train: weft, 1003854 tokens (u8), 1 document"
  std::string digest;                 // XXH3-128, hex, of the content; equal content, equal digest
  std::optional<int64_t> vocab_size;  // of the tokenizer that made the file, where known
  std::optional<std::string> tokenizer_digest;
  std::string tokenizer_directory;  // for open_tokenizer; empty where there is none
  LargestToken largest;
};

// Immutable; const methods may be called from several threads at once.
class TokenSource {
 public:
  virtual ~TokenSource() = default;

  virtual int64_t size() const = 0;  // tokens
  virtual const TokenInfo& info() const = 0;

  // Where documents begin, ascending, and size() at the end: document d is [d], [d + 1). One
  // document where the format does not tell.
  virtual std::span<const int64_t> documents() const = 0;

  // Fills `out` with the ids at [begin, begin + out.size()), which must lie in [0, size()). Does
  // not allocate. Throws Error{input} where the file was truncated or changed since it was opened.
  virtual void read(int64_t begin, std::span<TokenId> out) const = 0;

  // Reads the whole content and throws Error{input} where its digest is not info().digest.
  virtual void verify() const = 0;
};

class ContentMemory;

// How files are read through when they are opened: what for, and what comes of it. Foreign formats
// carry neither digest nor largest id, so that they must be read unless `memory` knows them.
struct ContentCheck {
  const ContentMemory* memory = nullptr;  // where what was read is kept between runs
  bool verify = false;                    // whether files with a recorded digest are held to it
  bool reread = false;                    // whether everything is read, whatever memory says
  // Told before a file is read through.
  std::function<void(const std::string& path, int64_t bytes)> announce = {};
  int64_t bytes_read = 0;                 // so far
  std::vector<std::string> notices = {};  // that nothing could be kept, once
};

// Opens `path` for reading:
//   weft      a dataset directory (DIR/train) of weft prepare
//   llmc      an llm.c .bin file, uint16 (version 1) or Llama-3 uint32 (version 7)
//   megatron  PREFIX, PREFIX.bin or PREFIX.idx of a Megatron indexed dataset
//   automatic decides by what the path is and how the file begins
// Foreign formats are read through here unless check.memory knows them; with check.verify our own
// are too, and Error{input} is thrown where the content is not what is recorded.
// Throws Error{input} that names the file and the fix.
std::unique_ptr<TokenSource> open_tokens(const std::string& path, DataConfig::Format format,
                                         ContentCheck& check);
std::unique_ptr<TokenSource> open_tokens(const std::string& path, DataConfig::Format format);

// Tokens in memory as a source; `documents` as TokenSource::documents, empty for one document.
std::unique_ptr<TokenSource> memory_tokens(std::vector<TokenId> ids,
                                           std::vector<int64_t> documents = {});

// Throws Error{input} that names the file, the position and the id unless every id of `tokens` is
// below the model's vocabulary size.
void require_vocabulary(const TokenSource& tokens, int64_t vocab_size);

}  // namespace weft
