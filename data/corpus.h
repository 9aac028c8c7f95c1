// Text as it is given: UTF-8 files, each one document, and JSON lines, each line one. Read front to
// back in pieces, so that a file of any size needs little memory.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "data/manifest.h"

namespace weft {

struct CorpusOptions {
  // automatic: JSON lines where the name says so (.jsonl, .ndjson, .jl, .jsonlines) or where the
  // first line is one JSON object; else text.
  enum class Format { automatic, text, jsonl };
  Format format = Format::automatic;
  std::string jsonl_field = "text";  // key of a document's text
  bool skip_bad_lines = false;       // of JSON lines: leaves them out and counts them
};

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
  bool jsonl = false;                      // was read as JSON lines
  bool jsonl_by_content = false;           // which its name did not say
  int64_t skipped_documents = 0;           // JSONL documents without text: "" or null
  int64_t bad_lines = 0;                   // left out, if options allow it
  std::string first_bad_line;              // what was wrong with it
};

// Reads the whole file; a byte order mark at its beginning is left out. `advance` is told the bytes
// as they are read. Throws Error{input}, with the line where there is one, on a file that cannot be
// read, is empty, compressed or a JSON document that is no JSON lines, is not UTF-8, or has a line
// that is not a JSON object with a string or null in the field.
CorpusFile visit_corpus(const std::string& path, const CorpusOptions& options,
                        CorpusVisitor& visitor, const std::function<void(int64_t)>& advance);

}  // namespace weft
