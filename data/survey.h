// The first pass of weft prepare over the texts.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/corpus.h"

namespace weft {

struct Survey {
  std::vector<CorpusFile> files;
  int64_t characters = 0;
  int64_t documents = 0;
  std::string alphabet;  // each character that occurs, once, as UTF-8
};

// Throws Error{input} as visit_corpus does, and where two files are one file or have one content.
Survey survey_texts(std::span<const std::string> paths, const CorpusOptions& options,
                    const std::function<void(int64_t)>& advance);

// Throws Error{input} where a file of `b` is one of `a` too, or has the content of one.
void require_distinct(std::span<const CorpusFile> a, std::span<const CorpusFile> b);

// The number of characters of UTF-8 text.
int64_t count_characters(std::string_view text);

}  // namespace weft
