// What a token file's headers say, once they have been checked: where the ids lie and how they are
// coded. One function per format makes a layout; one class reads them all.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/content_memory.h"
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
  std::optional<InputFile> index;         // what else determines the content, where it has a file
  std::string file_digest;                // recorded, of the two; empty where none is
  std::string index_digest;
  // Filled where the format records them; else found by reading the file through.
  TokenInfo info;
};

// Each throws Error{input} where the file is not what the format says.
TokenLayout read_weft_layout(const std::string& directory);
TokenLayout read_llmc_layout(const std::string& path);
TokenLayout read_megatron_layout(const std::string& path);

// Whether the path is a directory that weft prepare wrote a split into.
bool is_weft_dataset(const std::string& directory);

// A source over the layout, whose content is checked, or read for what it does not record.
std::unique_ptr<TokenSource> make_token_source(TokenLayout layout, ContentCheck& check);

// Reads a file of the layout through, or remembers what was read before: its digest, and of the ids
// in it the largest and, where the layout has a document_start, where documents begin. `ids`: false
// for a file that is no token file. Throws Error{input} on a value that is no id.
FileContent content_of(const TokenLayout& layout, const InputFile& file, bool ids,
                       ContentCheck& check);

}  // namespace weft
