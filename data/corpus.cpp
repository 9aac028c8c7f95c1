#include "data/corpus.h"

#include <algorithm>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "data/corpus_kind.h"
#include "data/file.h"
#include "data/tokenizer/json_line.h"
#include "data/tokenizer/utf8.h"

namespace weft {
namespace {

constexpr int64_t kBlockBytes = int64_t{1} << 20;

int64_t lines_in(std::string_view text) { return std::count(text.begin(), text.end(), '\n'); }

// The file in blocks, with its digest and the place in it on the way.
class BlockReader {
 public:
  BlockReader(const std::string& path, const std::function<void(int64_t)>& advance)
      : file_(path, "text file"), advance_(advance) {
    if (file_.size() == 0) fail(ErrorKind::input, "{}: is empty; give a file with text", path);
  }

  // Appends the next block to `text`; false at the end.
  bool next(std::string& text) {
    const int64_t count = std::min(kBlockBytes, file_.size() - at_);
    if (count == 0) return false;
    const size_t old = text.size();
    text.resize(old + static_cast<size_t>(count));
    const auto block = std::span(text).subspan(old);
    file_.read(at_, std::as_writable_bytes(block));
    digest_.add(std::as_bytes(block));
    at_ += count;
    advance_(count);
    return true;
  }

  const InputFile& file() const { return file_; }
  std::string digest() const { return to_string(digest_.finish()); }

 private:
  InputFile file_;
  const std::function<void(int64_t)>& advance_;
  DigestStream digest_;
  int64_t at_ = 0;
};

// `text` begins at byte `offset` and line `line` of the file.
void require_utf8_at(std::string_view text, const std::string& path, int64_t offset, int64_t line) {
  const auto fault = find_invalid_utf8(text);
  if (!fault) return;
  fail(ErrorKind::input,
       "{}: not UTF-8: byte 0x{:02x} at offset {} (line {}) starts no character; convert the file, "
       "for example with iconv -t UTF-8",
       path, static_cast<uint8_t>(text[fault->offset]),
       offset + static_cast<int64_t>(fault->offset), line + static_cast<int64_t>(fault->line) - 1);
}

void visit_text(BlockReader& reader, CorpusVisitor& visitor) {
  std::string text;  // what has been read and not passed on
  int64_t offset = 0;
  int64_t line = 1;
  visitor.begin_document(/*divisible=*/true);
  for (bool more = true; more;) {
    more = reader.next(text);
    // A character may be cut by the end of the block; at the end of the file that is a fault.
    const size_t count = more ? complete_utf8(text) : text.size();
    const std::string_view piece = std::string_view(text).substr(0, count);
    require_utf8_at(piece, reader.file().path(), offset, line);
    const bool marked = offset == 0 && piece.starts_with(kByteOrderMark);
    const std::string_view shown = piece.substr(marked ? kByteOrderMark.size() : 0);
    if (!shown.empty()) visitor.text(shown);
    offset += static_cast<int64_t>(count);
    line += lines_in(piece);
    text.erase(0, count);
  }
  visitor.end_document();
}

// The text of one line, empty where it is null. `where` is "FILE: line N".
std::string text_of_line(std::string_view line, const std::string& field,
                         const std::string& where) {
  JsonText found = find_json_text(line, field, where);
  if (found.state == JsonText::State::missing) {
    const std::string keys =
        found.first_key.empty() ? "" : fmt::format(", it has '{}'", found.first_key);
    fail(ErrorKind::input, "{}: has no field '{}'{}; name the field with --jsonl-field", where,
         field, keys);
  }
  if (found.state == JsonText::State::other) {
    fail(ErrorKind::input, "{}: field '{}' is {}, not a string; name another --jsonl-field", where,
         field, found.text);
  }
  return std::move(found.text);
}

bool blank(std::string_view line) {
  return line.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// Takes the lines of a file one after the other.
class LineVisitor {
 public:
  LineVisitor(const std::string& path, const CorpusOptions& options, CorpusVisitor& visitor,
              CorpusFile& file)
      : path_(path), options_(options), visitor_(visitor), file_(file) {}

  void operator()(std::string_view line) {
    ++number_;
    if (number_ == 1 && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
    std::string document;
    try {
      require_utf8_at(line, path_, offset_, number_);
      offset_ += static_cast<int64_t>(line.size()) + 1;
      if (blank(line)) return;
      const std::string where = fmt::format("{}: line {}", path_, number_);
      document = text_of_line(line, options_.jsonl_field, where);
    } catch (const Error& error) {
      if (!options_.skip_bad_lines) {
        fail(error.kind(), "{}; or leave such lines out with --skip-bad-lines", error.what());
      }
      if (file_.bad_lines++ == 0) file_.first_bad_line = error.what();
      return;
    }
    if (document.empty()) {
      ++file_.skipped_documents;
      return;
    }
    visitor_.begin_document(/*divisible=*/false);
    visitor_.text(document);
    visitor_.end_document();
  }

 private:
  const std::string& path_;
  const CorpusOptions& options_;
  CorpusVisitor& visitor_;
  CorpusFile& file_;
  int64_t offset_ = 0;
  int64_t number_ = 0;
};

void visit_jsonl(BlockReader& reader, LineVisitor visit_line) {
  std::string text;
  size_t searched = 0;  // text before it holds no line end
  while (reader.next(text)) {
    size_t begin = 0;
    for (size_t end; (end = text.find('\n', std::max(begin, searched))) != std::string::npos;) {
      visit_line(std::string_view(text).substr(begin, end - begin));
      begin = end + 1;
    }
    text.erase(0, begin);
    searched = text.size();
  }
  if (!text.empty()) visit_line(text);
}

}  // namespace

CorpusFile visit_corpus(const std::string& path, const CorpusOptions& options,
                        CorpusVisitor& visitor, const std::function<void(int64_t)>& advance) {
  BlockReader reader(path, advance);
  const CorpusKind kind = corpus_kind(reader.file(), options.format);
  CorpusFile file;
  file.identity = reader.file().identity();
  file.jsonl = kind.jsonl;
  file.jsonl_by_content = kind.by_content;
  if (kind.jsonl) {
    visit_jsonl(reader, LineVisitor(path, options, visitor, file));
  } else {
    visit_text(reader, visitor);
  }
  file.record = {path, reader.file().size(), reader.digest()};
  return file;
}

}  // namespace weft
