// manifest.json of a dataset directory: what its files hold, how long they are, what they were made
// from. Written last, so a directory with a manifest is complete.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/token_code.h"
#include "data/token_file.h"

namespace weft {

// File layout of a dataset directory, see docs/data.md.
inline constexpr const char* kTokensName = "tokens.bin";
inline constexpr const char* kDocumentsName = "documents.bin";
inline constexpr const char* kDatasetManifestName = "manifest.json";
inline constexpr const char* kTokenizerName = "../tokenizer";
inline constexpr char kTokensMagic[9] = "WEFTTOKS";
inline constexpr char kDocumentsMagic[9] = "WEFTDOCS";
inline constexpr uint32_t kTokensVersion = 1;
inline constexpr int64_t kTokensHeaderBytes = 64;

struct FileRecord {
  std::string name;
  int64_t bytes = 0;
  std::string digest;  // XXH3-128, hex
};

struct DatasetManifest {
  std::string split;  // "train" or "validation"
  int64_t tokens = 0;
  int64_t documents = 0;
  int64_t skipped_documents = 0;  // JSONL documents without text
  int64_t vocab_size = 0;
  TokenCode code = TokenCode::u8;
  LargestToken largest;
  bool append_eot = false;
  std::string tokenizer_kind;
  std::string tokenizer_digest;
  std::string tokenizer_description;
  FileRecord tokens_file;
  FileRecord documents_file;
  std::vector<FileRecord> sources;  // name: the path as given
};

std::string to_json(const DatasetManifest& manifest);

// Throws Error{input} where the file is missing, is not a manifest, or a field is missing, of the
// wrong type or out of range.
DatasetManifest read_manifest(const std::string& path);

}  // namespace weft
