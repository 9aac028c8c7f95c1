#include "data/corpus_kind.h"

#include <algorithm>
#include <filesystem>

#include "core/base/error.h"
#include "data/tokenizer/json_line.h"
#include "data/tokenizer/utf8.h"

namespace weft {
namespace {

constexpr int64_t kSampleBytes = int64_t{1} << 20;
constexpr int64_t kLongestFirstLine = int64_t{256} << 20;
constexpr std::string_view kBlanks = " \t\r\n";

// Files whose bytes are no text, and what makes one of them.
struct Packed {
  std::string_view magic;
  std::string_view what;
  std::string_view way_out;
};
constexpr Packed kPacked[] = {
    {"\x1F\x8B", "compressed with gzip", "unpack it with gzip -d"},
    {"\x28\xB5\x2F\xFD", "compressed with zstd", "unpack it with zstd -d"},
    {"\xFD\x37zXZ", "compressed with xz", "unpack it with xz -d"},
    {"BZh", "compressed with bzip2", "unpack it with bzip2 -d"},
    {"\x04\x22\x4D\x18", "compressed with lz4", "unpack it with lz4 -d"},
    {"PK\x03\x04", "a zip archive", "unpack it with unzip"},
    {"PAR1", "a Parquet table", "write its text as JSON lines first"},
    {"ARROW1", "an Arrow table", "write its text as JSON lines first"}};

void refuse_packed(const std::string& path, std::string_view head) {
  for (const Packed& packed : kPacked) {
    // bzip2's three letters could begin a text; the block's number, '1' to '9', follows them.
    if (!head.starts_with(packed.magic)) continue;
    if (packed.magic == "BZh" && (head.size() < 4 || head[3] < '1' || head[3] > '9')) continue;
    fail(ErrorKind::input, "{}: is {}; {} first", path, packed.what, packed.way_out);
  }
}

std::string extension_of(const std::string& path) {
  std::string extension = std::filesystem::path(path).extension().string();
  std::ranges::transform(extension, extension.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return extension;
}

std::string read_at(const InputFile& file, int64_t at) {
  std::string bytes(static_cast<size_t>(std::min(kSampleBytes, file.size() - at)), '\0');
  file.read(at, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

// `text`, which begins with the first character that is not blank, up to the end of its line.
std::string_view first_line(const InputFile& file, int64_t begin, std::string& text) {
  int64_t at = begin + static_cast<int64_t>(text.size());
  size_t end = text.find('\n');
  while (end == std::string::npos && at < file.size() && at < kLongestFirstLine) {
    const size_t searched = text.size();
    const std::string more = read_at(file, at);
    at += static_cast<int64_t>(more.size());
    text += more;
    end = text.find('\n', searched);
  }
  return std::string_view(text).substr(0, end);
}

}  // namespace

CorpusKind look_for_json_lines(const InputFile& file) {
  const std::string extension = extension_of(file.path());
  for (const std::string_view known : {".jsonl", ".ndjson", ".jl", ".jsonlines"}) {
    if (extension == known) return {.jsonl = true};
  }
  std::string text = read_at(file, 0);
  size_t begin = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  begin = std::min(text.find_first_not_of(kBlanks, begin), text.size());
  text.erase(0, begin);
  if (!text.starts_with('{')) return {};
  const bool object = is_json_object(first_line(file, static_cast<int64_t>(begin), text));
  return {.jsonl = object, .by_content = object};
}

CorpusKind corpus_kind(const InputFile& file, CorpusOptions::Format format) {
  if (file.size() == 0) return {};
  const std::string head = read_at(file, 0);
  refuse_packed(file.path(), head);
  if (format == CorpusOptions::Format::text) return {};
  if (format == CorpusOptions::Format::jsonl) return {.jsonl = true};
  const CorpusKind kind = look_for_json_lines(file);
  const size_t begin = head.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  const size_t first = std::min(head.find_first_not_of(kBlanks, begin), head.size());
  const bool opens = first < head.size() && (head[first] == '{' || head[first] == '[');
  if (!kind.jsonl && opens && extension_of(file.path()) == ".json") {
    fail(ErrorKind::input,
         "{}: is a JSON document, not JSON lines; write one object a line (jq -c '.[]' makes them "
         "of a list), or read it as text with --format text",
         file.path());
  }
  return kind;
}

}  // namespace weft
