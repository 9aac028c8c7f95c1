#include "data/survey.h"

#include <algorithm>
#include <map>

#include "core/base/error.h"
#include "data/tokenizer/utf8.h"

namespace weft {
namespace {

constexpr size_t kCodePoints = 0x110000;

class Surveyor final : public CorpusVisitor {
 public:
  explicit Surveyor(Survey& survey) : survey_(survey), seen_(kCodePoints) {}

  void begin_document(bool) override { ++survey_.documents; }
  void text(std::string_view piece) override {
    survey_.characters += count_characters(piece);
    for (size_t at = 0; at < piece.size();) {
      const CodePoint cp = decode_utf8(piece, at);
      seen_[cp.value] = true;
      at += static_cast<size_t>(cp.bytes);
    }
  }
  void end_document() override {}

  std::string alphabet() const {
    std::string text;
    for (size_t cp = 0; cp < kCodePoints; ++cp) {
      if (seen_[cp]) append_utf8(static_cast<char32_t>(cp), text);
    }
    return text;
  }

 private:
  Survey& survey_;
  std::vector<bool> seen_;
};

[[noreturn]] void fail_duplicate(const CorpusFile& a, const CorpusFile& b) {
  const bool same_file = a.identity == b.identity;
  fail(ErrorKind::input,
       "{} and {} {}; name each text once, and hold out other text than you train on",
       a.record.name, b.record.name, same_file ? "are one file" : "have the same content");
}

bool same(const CorpusFile& a, const CorpusFile& b) {
  return a.identity == b.identity ||
         (a.record.digest == b.record.digest && a.record.bytes == b.record.bytes);
}

}  // namespace

int64_t count_characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
}

Survey survey_texts(std::span<const std::string> paths, const CorpusOptions& options,
                    const std::function<void(int64_t)>& advance) {
  Survey survey;
  Surveyor surveyor(survey);
  std::map<std::pair<uint64_t, uint64_t>, size_t> by_identity;
  std::map<std::string, size_t> by_digest;
  for (const std::string& path : paths) {
    const size_t index = survey.files.size();
    survey.files.push_back(visit_corpus(path, options, surveyor, advance));
    const CorpusFile& file = survey.files.back();
    const auto [first, fresh] = by_identity.emplace(file.identity, index);
    if (!fresh) fail_duplicate(survey.files[first->second], file);
    const auto [twin, unknown] = by_digest.emplace(file.record.digest, index);
    if (!unknown) fail_duplicate(survey.files[twin->second], file);
  }
  survey.alphabet = surveyor.alphabet();
  return survey;
}

void require_distinct(std::span<const CorpusFile> a, std::span<const CorpusFile> b) {
  for (const CorpusFile& one : a) {
    for (const CorpusFile& other : b) {
      if (same(one, other)) fail_duplicate(one, other);
    }
  }
}

}  // namespace weft
