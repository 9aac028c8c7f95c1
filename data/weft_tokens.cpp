// Our own dataset directory: manifest.json, tokens.bin, documents.bin. The names of the files are
// fixed; no path is taken from the manifest.
#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "data/manifest.h"
#include "data/token_layout.h"

namespace weft {
namespace {

constexpr const char* kFix = "restore it or run `weft prepare` again";

void require_size(const InputFile& file, int64_t expected) {
  if (file.size() == expected) return;
  fail(ErrorKind::input, "{}: {} bytes, its manifest and header make {}; it is {}, {}", file.path(),
       file.size(), expected, file.size() < expected ? "truncated" : "damaged", kFix);
}

std::array<std::byte, kTokensHeaderBytes> read_header(const InputFile& file, const char* magic) {
  std::array<std::byte, kTokensHeaderBytes> header;
  file.read(0, header);
  if (std::memcmp(header.data(), magic, 8) != 0) {
    fail(ErrorKind::input, "{}: does not begin with {}, so the header is damaged; {}", file.path(),
         magic, kFix);
  }
  if (const uint32_t version = load_u32(header, 8); version != kTokensVersion) {
    fail(ErrorKind::input, "{}: version {}, this program reads version {}", file.path(), version,
         kTokensVersion);
  }
  return header;
}

void require_field(const InputFile& file, const char* what, uint64_t found, int64_t expected) {
  if (found == static_cast<uint64_t>(expected)) return;
  fail(ErrorKind::input, "{}: the header's {} is {}, the manifest says {}; {}", file.path(), what,
       found, expected, kFix);
}

InputFile open_ids(const std::string& path, const DatasetManifest& manifest) {
  InputFile file(path, "token file");
  require_size(file, manifest.tokens_file.bytes);
  const auto header = read_header(file, kTokensMagic);
  require_field(file, "bytes per token", load_u32(header, 12), size_of(manifest.code));
  require_field(file, "token count", load_u64(header, 16), manifest.tokens);
  require_field(file, "vocabulary size", load_u64(header, 24), manifest.vocab_size);
  const int64_t capacity = (file.size() - kTokensHeaderBytes) / size_of(manifest.code);
  if (manifest.tokens > capacity) require_size(file, manifest.tokens_file.bytes + 1);
  require_size(file, kTokensHeaderBytes + manifest.tokens * size_of(manifest.code));
  return file;
}

std::vector<int64_t> read_documents(const InputFile& file, const DatasetManifest& manifest) {
  require_size(file, manifest.documents_file.bytes);
  const auto header = read_header(file, kDocumentsMagic);
  require_field(file, "document count", load_u64(header, 16), manifest.documents);
  const int64_t capacity = (file.size() - kTokensHeaderBytes) / 8;
  require_field(file, "document count", static_cast<uint64_t>(capacity) - 1, manifest.documents);
  std::vector<int64_t> documents(static_cast<size_t>(manifest.documents) + 1);
  file.read(kTokensHeaderBytes, std::as_writable_bytes(std::span(documents)));
  if (documents.front() != 0 || documents.back() != manifest.tokens ||
      !std::is_sorted(documents.begin(), documents.end())) {
    fail(ErrorKind::input, "{}: the documents do not ascend from 0 to {}; {}", file.path(),
         manifest.tokens, kFix);
  }
  return documents;
}

}  // namespace

bool is_weft_dataset(const std::string& directory) {
  std::error_code error;
  return std::filesystem::exists(directory + "/" + kDatasetManifestName, error);
}

TokenLayout read_weft_layout(const std::string& directory) {
  std::error_code error;
  if (!std::filesystem::is_directory(directory, error)) {
    fail(ErrorKind::input, "dataset {}: {}; name a directory that `weft prepare` wrote", directory,
         std::filesystem::exists(directory, error) ? "not a directory" : "does not exist");
  }
  const std::filesystem::path base(directory);
  const DatasetManifest manifest = read_manifest((base / kDatasetManifestName).string());
  InputFile file = open_ids((base / kTokensName).string(), manifest);
  InputFile index((base / kDocumentsName).string(), "document index");
  std::vector<int64_t> documents = read_documents(index, manifest);
  TokenLayout layout{.file = std::move(file),
                     .offset = kTokensHeaderBytes,
                     .count = manifest.tokens,
                     .code = manifest.code,
                     .documents = std::move(documents),
                     .document_start = std::nullopt,
                     .format = "weft",
                     .index = std::move(index),
                     .file_digest = manifest.tokens_file.digest,
                     .index_digest = manifest.documents_file.digest,
                     .info = {}};
  DigestStream digest;
  digest.add(manifest.tokens_file.digest);
  digest.add(manifest.documents_file.digest);
  layout.info.path = directory;
  layout.info.digest = to_string(digest.finish());
  layout.info.vocab_size = manifest.vocab_size;
  layout.info.tokenizer_digest = manifest.tokenizer_digest;
  layout.info.tokenizer_directory = (base / kTokenizerName).lexically_normal().string();
  layout.info.largest = manifest.largest;
  return layout;
}

}  // namespace weft
