// Megatron indexed datasets: PREFIX.bin holds ids without a header, PREFIX.idx how they divide into
// sequences and documents. All arrays of the index are unaligned.
#include <array>
#include <cstring>
#include <filesystem>
#include <limits>

#include "core/base/error.h"
#include "data/token_layout.h"

namespace weft {
namespace {

constexpr char kMagic[9] = {'M', 'M', 'I', 'D', 'I', 'D', 'X', '\0', '\0'};
constexpr int64_t kIndexHeaderBytes = 34;
constexpr int64_t kBlock = 4096;  // index entries read at once

struct Index {
  TokenCode code;
  int64_t sequences;
  int64_t document_entries;             // documents + 1
  std::vector<int64_t> sequence_begin;  // tokens; sequences + 1 entries
};

TokenCode parse_code(int code, const std::string& path) {
  switch (code) {
    case 1:
      return TokenCode::u8;
    case 2:
      return TokenCode::i8;
    case 3:
      return TokenCode::i16;
    case 4:
      return TokenCode::i32;
    case 5:
      return TokenCode::i64;
    case 8:
      return TokenCode::u16;
    case 6:
    case 7:
      fail(ErrorKind::input, "{}: type code {} means floating point, token ids are integers", path,
           code);
    default:
      fail(ErrorKind::input, "{}: unknown type code {}; Megatron's integer codes are 1-5 and 8",
           path, code);
  }
}

// The header; checks that the index is exactly as long as its counts say. The file may end with one
// byte per sequence (the modes of multimodal data), which no field announces.
Index read_header(const InputFile& file) {
  const std::string& path = file.path();
  if (file.size() < kIndexHeaderBytes) {
    fail(ErrorKind::input, "{}: {} bytes, the header alone has {}; the file is truncated", path,
         file.size(), kIndexHeaderBytes);
  }
  std::array<std::byte, kIndexHeaderBytes> header;
  file.read(0, header);
  if (std::memcmp(header.data(), kMagic, sizeof(kMagic)) != 0) {
    fail(ErrorKind::input, "{}: does not begin with MMIDIDX, so it is no Megatron index", path);
  }
  if (const uint64_t version = load_u64(header, 9); version != 1) {
    fail(ErrorKind::input, "{}: index version {}, this program reads version 1", path, version);
  }
  const TokenCode code = parse_code(static_cast<int>(header[17]), path);
  const uint64_t sequences = load_u64(header, 18);
  const uint64_t entries = load_u64(header, 26);
  // Counts that could not fit the file are refused before they enter a product.
  const auto size = static_cast<uint64_t>(file.size());
  const uint64_t expected = kIndexHeaderBytes + 12 * sequences + 8 * entries;
  if (sequences > size / 12 || entries > size / 8 ||
      (size != expected && size != expected + sequences)) {
    fail(ErrorKind::input,
         "{}: {} bytes do not fit {} sequences and {} document entries; the file is truncated or "
         "damaged",
         path, size, sequences, entries);
  }
  return {code, static_cast<int64_t>(sequences), static_cast<int64_t>(entries), {}};
}

// Calls f(i, bytes, at) for `count` entries of `width` bytes from `offset` on, read in blocks.
template <typename F>
void for_each_entry(const InputFile& file, int64_t offset, int64_t count, int64_t width, F&& f) {
  std::vector<std::byte> block(static_cast<size_t>(kBlock * width));
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t here = std::min(kBlock, count - begin);
    const std::span bytes(block.data(), static_cast<size_t>(here * width));
    file.read(offset + begin * width, bytes);
    for (int64_t i = 0; i < here; ++i) {
      f(begin + i, std::span<const std::byte>(bytes), static_cast<size_t>(i * width));
    }
  }
}

// Lengths must be positive or zero and pointers follow from them without gap or overlap.
void read_sequences(const InputFile& file, Index& index) {
  index.sequence_begin.assign(1, 0);
  index.sequence_begin.reserve(static_cast<size_t>(index.sequences) + 1);
  for_each_entry(file, kIndexHeaderBytes, index.sequences, 4,
                 [&](int64_t i, auto bytes, size_t at) {
                   const auto length = static_cast<int32_t>(load_u32(bytes, at));
                   if (length < 0) {
                     fail(ErrorKind::input, "{}: sequence {} has length {}; the index is damaged",
                          file.path(), i, length);
                   }
                   index.sequence_begin.push_back(index.sequence_begin.back() + length);
                 });
  const int64_t width = size_of(index.code);
  for_each_entry(file, kIndexHeaderBytes + 4 * index.sequences, index.sequences, 8,
                 [&](int64_t i, auto bytes, size_t at) {
                   const auto pointer = static_cast<int64_t>(load_u64(bytes, at));
                   const int64_t expected = index.sequence_begin[static_cast<size_t>(i)] * width;
                   if (pointer == expected) return;
                   fail(ErrorKind::input,
                        "{}: sequence {} begins at byte {}, the lengths before it make {}; the "
                        "index is damaged",
                        file.path(), i, pointer, expected);
                 });
}

std::vector<int64_t> read_documents(const InputFile& file, const Index& index) {
  std::vector<int64_t> documents;
  documents.reserve(static_cast<size_t>(index.document_entries));
  int64_t last = 0;
  const int64_t offset = kIndexHeaderBytes + 12 * index.sequences;
  for_each_entry(file, offset, index.document_entries, 8, [&](int64_t i, auto bytes, size_t at) {
    const auto sequence = static_cast<int64_t>(load_u64(bytes, at));
    if (sequence < last || sequence > index.sequences || (i == 0 && sequence != 0)) {
      fail(ErrorKind::input,
           "{}: document {} begins at sequence {} (the one before at {}, {} sequences in all); the "
           "index is damaged",
           file.path(), i, sequence, last, index.sequences);
    }
    last = sequence;
    documents.push_back(index.sequence_begin[static_cast<size_t>(sequence)]);
  });
  if (documents.empty() || last != index.sequences) {
    fail(ErrorKind::input, "{}: the documents end at sequence {} of {}; the index is damaged",
         file.path(), last, index.sequences);
  }
  return documents;
}

std::string prefix_of(const std::string& path) {
  const std::filesystem::path given(path);
  const auto extension = given.extension();
  if (extension == ".bin" || extension == ".idx") {
    return path.substr(0, path.size() - extension.string().size());
  }
  return path;
}

}  // namespace

TokenLayout read_megatron_layout(const std::string& path) {
  const std::string prefix = prefix_of(path);
  InputFile index_file(prefix + ".idx", "Megatron index");
  InputFile file(prefix + ".bin", "Megatron data");
  Index index = read_header(index_file);
  read_sequences(index_file, index);
  std::vector<int64_t> documents = read_documents(index_file, index);
  const int64_t count = index.sequence_begin.back();
  const int64_t expected = count * size_of(index.code);
  if (file.size() != expected) {
    fail(ErrorKind::input,
         "{}: {} bytes, the index's {} tokens ({}) make {}; the file is truncated or belongs to "
         "another index",
         file.path(), file.size(), count, name(index.code), expected);
  }
  if (count == 0) fail(ErrorKind::input, "{}: holds no tokens; tokenize some text", path);
  TokenLayout layout{.file = std::move(file),
                     .offset = 0,
                     .count = count,
                     .code = index.code,
                     .documents = std::move(documents),
                     .document_start = std::nullopt,
                     .format = "megatron",
                     .index = std::move(index_file),
                     .file_digest = {},
                     .index_digest = {},
                     .info = {}};
  layout.info.path = path;
  return layout;
}

}  // namespace weft
