#include "data/corpus.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "data/file.h"
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
    if (!piece.empty()) visitor.text(piece);
    offset += static_cast<int64_t>(count);
    line += lines_in(piece);
    text.erase(0, count);
  }
  visitor.end_document();
}

// The text of one JSONL line. `where` is "FILE: line N".
std::string text_of_line(std::string_view line, const std::string& field,
                         const std::string& where) {
  nlohmann::json object;
  try {
    object = nlohmann::json::parse(line);
  } catch (const nlohmann::json::parse_error& error) {
    fail(ErrorKind::input,
         "{}: broken JSON near column {}; a line must be one object such as {{\"{}\": \"...\"}}",
         where, error.byte, field);
  }
  if (!object.is_object()) {
    fail(ErrorKind::input, "{}: holds a JSON {}, not an object such as {{\"{}\": \"...\"}}", where,
         object.type_name(), field);
  }
  const auto it = object.find(field);
  if (it == object.end()) {
    const std::string keys =
        object.empty() ? "" : fmt::format(", it has '{}'", object.begin().key());
    fail(ErrorKind::input, "{}: has no field '{}'{}; name the field with --jsonl-field", where,
         field, keys);
  }
  if (!it->is_string()) {
    fail(ErrorKind::input, "{}: field '{}' is a {}, not a string; name another --jsonl-field",
         where, field, it->type_name());
  }
  return it->get<std::string>();
}

bool blank(std::string_view line) {
  return line.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// Returns the number of documents without text.
int64_t visit_jsonl(BlockReader& reader, const std::string& field, CorpusVisitor& visitor) {
  const std::string& path = reader.file().path();
  std::string text;
  int64_t offset = 0;
  int64_t number = 0;
  int64_t skipped = 0;
  const auto visit_line = [&](std::string_view line) {
    ++number;
    require_utf8_at(line, path, offset, number);
    offset += static_cast<int64_t>(line.size()) + 1;
    if (blank(line)) return;
    const std::string document =
        text_of_line(line, field, fmt::format("{}: line {}", path, number));
    if (document.empty()) {
      ++skipped;
      return;
    }
    visitor.begin_document(/*divisible=*/false);
    visitor.text(document);
    visitor.end_document();
  };
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
  return skipped;
}

}  // namespace

bool is_jsonl(const std::string& path) {
  const auto extension = std::filesystem::path(path).extension();
  return extension == ".jsonl" || extension == ".ndjson";
}

CorpusFile visit_corpus(const std::string& path, const std::string& jsonl_field,
                        CorpusVisitor& visitor, const std::function<void(int64_t)>& advance) {
  BlockReader reader(path, advance);
  int64_t skipped = 0;
  if (is_jsonl(path)) {
    skipped = visit_jsonl(reader, jsonl_field, visitor);
  } else {
    visit_text(reader, visitor);
  }
  return {{path, reader.file().size(), reader.digest()}, reader.file().identity(), skipped};
}

}  // namespace weft
