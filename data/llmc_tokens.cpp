// llm.c token files: 256 int32 of header (magic, version, token count), then the ids.
#include <array>

#include "core/base/error.h"
#include "data/token_layout.h"

namespace weft {
namespace {

constexpr int64_t kHeaderBytes = 1024;

struct Kind {
  uint32_t magic;
  uint32_t version;
  TokenCode code;
  TokenId document_start;  // llm.c's data scripts put this id before each document
};
constexpr Kind kKinds[] = {{20240520, 1, TokenCode::u16, 50256},
                           {20240801, 7, TokenCode::u32, 128000}};

// llm.c files that hold something else.
struct OtherFile {
  uint32_t magic;
  const char* what;
};
constexpr OtherFile kOthers[] = {{20240522, "an evaluation set"},
                                 {20240326, "model weights"},
                                 {20240527, "an optimizer state"},
                                 {20240327, "a debug state"},
                                 {20240328, "a tokenizer"}};

const Kind& kind_of(uint32_t magic, const std::string& path) {
  for (const Kind& kind : kKinds) {
    if (kind.magic == magic) return kind;
  }
  for (const OtherFile& other : kOthers) {
    if (other.magic != magic) continue;
    fail(ErrorKind::input, "{}: holds {} of llm.c, not tokens; name the token file", path,
         other.what);
  }
  fail(ErrorKind::input,
       "{}: begins with {}, an llm.c token file begins with 20240520 or 20240801; for text run "
       "`weft prepare` first",
       path, magic);
}

}  // namespace

TokenLayout read_llmc_layout(const std::string& path) {
  InputFile file(path, "token file");
  if (file.size() < kHeaderBytes) {
    fail(ErrorKind::input, "{}: {} bytes, an llm.c header alone has {}; the file is truncated",
         path, file.size(), kHeaderBytes);
  }
  std::array<std::byte, 12> header;
  file.read(0, header);
  const Kind& kind = kind_of(load_u32(header, 0), path);
  if (const uint32_t version = load_u32(header, 4); version != kind.version) {
    fail(ErrorKind::input, "{}: llm.c version {}, this program reads version {} of magic {}", path,
         version, kind.version, kind.magic);
  }
  const auto count = static_cast<int32_t>(load_u32(header, 8));
  if (count < 0) {
    fail(ErrorKind::input,
         "{}: the header's token count is {}; more than 2^31 - 1 tokens do not fit this format, "
         "write several files",
         path, count);
  }
  const int64_t expected = kHeaderBytes + int64_t{count} * size_of(kind.code);
  if (file.size() != expected) {
    fail(
        ErrorKind::input,
        "{}: {} bytes, the header's {} tokens ({}) make {}; the file is truncated or damaged, make "
        "it again",
        path, file.size(), count, name(kind.code), expected);
  }
  if (count == 0) fail(ErrorKind::input, "{}: holds no tokens; tokenize some text", path);
  TokenLayout layout{.file = std::move(file),
                     .offset = kHeaderBytes,
                     .count = count,
                     .code = kind.code,
                     .documents = {},
                     .document_start = kind.document_start,
                     .format = "llm.c",
                     .index = std::nullopt,
                     .file_digest = {},
                     .index_digest = {},
                     .info = {}};
  layout.info.path = path;
  return layout;
}

}  // namespace weft
