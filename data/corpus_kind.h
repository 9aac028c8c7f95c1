// What a file of a corpus is: text, or JSON lines.
#pragma once

#include "data/corpus.h"
#include "data/file.h"

namespace weft {

struct CorpusKind {
  bool jsonl = false;
  bool by_content = false;  // jsonl, which the name does not say
};

// Whether the name or the first line says that the file, which is not empty, is JSON lines.
CorpusKind look_for_json_lines(const InputFile& file);

// Decides by the name and the beginning of the file, as CorpusOptions::Format says. Throws
// Error{input} on what is neither: compressed files, tables, and JSON documents over several lines.
CorpusKind corpus_kind(const InputFile& file, CorpusOptions::Format format);

}  // namespace weft
