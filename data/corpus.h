// Text as it is given: UTF-8 files, each one document, and JSONL files (.jsonl, .ndjson), each line
// one. Read front to back in pieces, so that a file of any size needs little memory.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "data/manifest.h"

namespace weft {

// Receives the documents of a corpus in order.
class CorpusVisitor {
 public:
  virtual ~CorpusVisitor() = default;
  // Before each document; `divisible` says whether it may be cut at any character.
  virtual void begin_document(bool divisible) = 0;
  // The next piece of the document: valid UTF-8, whole characters, not empty.
  virtual void text(std::string_view piece) = 0;
  virtual void end_document() = 0;
};

struct CorpusFile {
  FileRecord record;                       // name: the path
  std::pair<uint64_t, uint64_t> identity;  // of the file behind the path
  int64_t skipped_documents = 0;           // JSONL documents without text
};

bool is_jsonl(const std::string& path);

// Reads the whole file. `jsonl_field` is the key of a document's text; `advance` is told the bytes
// as they are read. Throws Error{input}, with the line where there is one, on a file that cannot be
// read, is empty, is not UTF-8, or has a line that is not a JSON object with a string in the field.
CorpusFile visit_corpus(const std::string& path, const std::string& jsonl_field,
                        CorpusVisitor& visitor, const std::function<void(int64_t)>& advance);

}  // namespace weft
