// What a token file's headers say, once they have been checked: where the ids lie and how they are
// coded. One function per format makes a layout; one class reads them all.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/file.h"
#include "data/token_code.h"
#include "data/token_file.h"

namespace weft {

struct TokenLayout {
  InputFile file;
  int64_t offset;  // bytes to the first id
  int64_t count;   // ids
  TokenCode code;
  std::vector<int64_t> documents;  // as TokenSource::documents; empty where the format has none
  std::optional<TokenId> document_start;  // then a document begins at each occurrence of this id
  std::string format;                     // "weft", "llm.c", "megatron"
  std::string index_digest;               // of what else determines the content, for the digest
  // Filled where the format records them; else found by reading the file through.
  TokenInfo info;
};

// Each throws Error{input} where the file is not what the format says.
TokenLayout read_weft_layout(const std::string& directory);
TokenLayout read_llmc_layout(const std::string& path);
TokenLayout read_megatron_layout(const std::string& path);

// Whether the path is a directory that weft prepare wrote a split into.
bool is_weft_dataset(const std::string& directory);

// A source over the layout; reads the file through where info lacks the digest.
std::unique_ptr<TokenSource> make_token_source(TokenLayout layout);

}  // namespace weft
