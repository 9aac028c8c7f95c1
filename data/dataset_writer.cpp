#include "data/dataset_writer.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/base/error.h"

namespace weft {
namespace {

void write_u64(OutputFile& file, uint64_t value) {
  std::array<std::byte, 8> bytes;
  store_u64(bytes, 0, value);
  file.write(bytes);
}

}  // namespace

DatasetWriter::DatasetWriter(const std::string& directory, const std::string& split,
                             const Tokenizer& tokenizer, bool append_eot)
    : directory_(directory),
      ids_file_(directory + "/" + kTokensName),
      documents_file_(directory + "/" + kDocumentsName) {
  manifest_.split = split;
  manifest_.vocab_size = tokenizer.vocab_size();
  manifest_.code = token_code_for(tokenizer.vocab_size());
  manifest_.append_eot = append_eot;
  manifest_.tokenizer_kind = tokenizer.kind();
  manifest_.tokenizer_digest = tokenizer.digest();
  manifest_.tokenizer_description = tokenizer.description();
  if (append_eot) {
    WEFT_CHECK(tokenizer.end_of_text().has_value(), "{}: no end-of-text id", tokenizer.kind());
    eot_ = *tokenizer.end_of_text();
  }
  const std::array<std::byte, kTokensHeaderBytes> header{};  // filled in by close()
  ids_file_.write(header);
  documents_file_.write(header);
  write_u64(documents_file_, 0);
}

void DatasetWriter::append(std::span<const TokenId> ids) {
  const auto largest = std::max_element(ids.begin(), ids.end());
  if (largest == ids.end()) return;
  WEFT_CHECK(*largest < manifest_.vocab_size, "token {} of {}", *largest, manifest_.vocab_size);
  if (*largest > manifest_.largest.id) {
    manifest_.largest = {*largest, manifest_.tokens + (largest - ids.begin())};
  }
  bytes_.resize(ids.size() * static_cast<size_t>(size_of(manifest_.code)));
  encode_tokens(manifest_.code, ids, bytes_);
  ids_file_.write(bytes_);
  manifest_.tokens += static_cast<int64_t>(ids.size());
}

void DatasetWriter::end_document() {
  if (eot_ >= 0) append(std::span(&eot_, 1));
  ++manifest_.documents;
  write_u64(documents_file_, static_cast<uint64_t>(manifest_.tokens));
}

// Fills in the header; the digest is taken from the file as it can be read back.
FileRecord DatasetWriter::close(OutputFile& file, const char* name, const char* magic) {
  const bool ids = &file == &ids_file_;
  std::array<std::byte, kTokensHeaderBytes> header{};
  std::memcpy(header.data(), magic, 8);
  store_u32(header, 8, kTokensVersion);
  store_u32(header, 12, ids ? static_cast<uint32_t>(size_of(manifest_.code)) : 8);
  store_u64(header, 16, static_cast<uint64_t>(ids ? manifest_.tokens : manifest_.documents));
  store_u64(header, 24, static_cast<uint64_t>(ids ? manifest_.vocab_size : manifest_.tokens));
  file.rewrite(0, header);
  file.close();
  const InputFile written(directory_ + "/" + name, "dataset file");
  return {name, written.size(), digest_of(written)};
}

DatasetManifest DatasetWriter::finish(std::vector<FileRecord> sources, int64_t skipped_documents) {
  WEFT_CHECK(manifest_.documents > 0 && manifest_.tokens > 0, "an empty {} split", manifest_.split);
  manifest_.tokens_file = close(ids_file_, kTokensName, kTokensMagic);
  manifest_.documents_file = close(documents_file_, kDocumentsName, kDocumentsMagic);
  manifest_.sources = std::move(sources);
  manifest_.skipped_documents = skipped_documents;
  write_new_file(directory_ + "/" + kDatasetManifestName, to_json(manifest_));
  return manifest_;
}

}  // namespace weft
