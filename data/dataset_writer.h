// Writes one dataset directory: tokens.bin and documents.bin as the ids come, manifest.json last.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/file.h"
#include "data/manifest.h"
#include "data/tokenizer/tokenizer.h"

namespace weft {

class DatasetWriter {
 public:
  // Writes into `directory`, which exists and is empty. `split` is "train" or "validation".
  // `append_eot` puts the tokenizer's end-of-text id behind each document; it must have one.
  // Everything throws Error{environment} where the files cannot be written.
  DatasetWriter(const std::string& directory, const std::string& split, const Tokenizer& tokenizer,
                bool append_eot);

  void append(std::span<const TokenId> ids);  // to the open document
  void end_document();

  int64_t tokens() const { return manifest_.tokens; }
  int64_t documents() const { return manifest_.documents; }

  // Completes the files and writes the manifest. There must be at least one document.
  DatasetManifest finish(std::vector<FileRecord> sources, int64_t skipped_documents);

 private:
  FileRecord close(OutputFile& file, const char* name, const char* magic);

  std::string directory_;
  DatasetManifest manifest_;
  TokenId eot_ = -1;  // appended to each document; -1: none
  OutputFile ids_file_;
  OutputFile documents_file_;
  std::vector<std::byte> bytes_;  // encoded ids
};

}  // namespace weft
