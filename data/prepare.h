// weft prepare: text in, dataset directories out.
//
//   OUTPUT/train/       a dataset directory (docs/data.md)
//   OUTPUT/validation/  another, unless nothing is held out
//   OUTPUT/tokenizer/   what open_tokenizer reads
//
// The texts are read twice: a survey that finds every fault before anything is written, and counts
// the characters to know where to divide; then the encoding.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/corpus.h"
#include "data/manifest.h"
#include "data/tokenizer/tokenizer.h"

namespace weft {

struct PrepareOptions {
  enum class AppendEot { automatic, yes, no };

  TokenizerSpec tokenizer;
  CorpusOptions corpus;                 // how the files are read
  std::vector<std::string> inputs;      // text files and JSONL files
  std::vector<std::string> validation;  // held-out files; then nothing of the inputs is held out
  std::string output;
  // The share of the characters, counted from the end, that is held out. A text file is cut at that
  // character, a JSONL document that begins before it stays whole in the training part.
  double validation_fraction = 0.1;
  // The end-of-text id behind each document; automatic: where the tokenizer has one and there is
  // more than one input file or a JSONL file.
  AppendEot append_eot = AppendEot::automatic;
  bool force = false;                      // replace an output that exists
  int64_t chunk_bytes = int64_t{1} << 22;  // text that is encoded at once, about
};

struct Prepared {
  std::string tokenizer;  // its description
  DatasetManifest train;
  std::optional<DatasetManifest> validation;
  std::string leftover;  // a line about what of an old dataset could not be removed, or empty
  std::vector<std::string> notices;  // what was decided by the content, and what was left out
};

// Bytes read so far and in all, both passes together.
using PrepareProgress = std::function<void(int64_t done, int64_t total)>;

// Throws Error{usage} on options that contradict each other, Error{input} on texts or an output
// that cannot be used, Error{environment} where the output cannot be written. Then OUTPUT is as it
// was.
Prepared prepare(const PrepareOptions& options, const PrepareProgress& progress);

}  // namespace weft
