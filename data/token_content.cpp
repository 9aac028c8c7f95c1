// Reading data files through, once.
#include <algorithm>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "data/token_layout.h"

namespace weft {
namespace {

constexpr int64_t kReadBytes = int64_t{1} << 20;  // a multiple of every width of an id

// Takes the ids of a file block by block: refuses values that are none, notes the largest and where
// documents begin.
class IdScan {
 public:
  IdScan(const TokenLayout& layout, FileContent& content)
      : layout_(layout),
        content_(content),
        find_documents_(layout.documents.empty() && layout.document_start.has_value()),
        ids_(static_cast<size_t>(kReadBytes / size_of(layout.code))) {
    if (find_documents_) content_.documents.push_back(0);
  }

  void add(std::span<const std::byte> bytes) {
    const std::span ids(ids_.data(), bytes.size() / static_cast<size_t>(size_of(layout_.code)));
    decode_tokens(layout_.code, bytes, ids);
    const auto bad = std::find(ids.begin(), ids.end(), kNoToken);
    if (bad != ids.end()) {
      fail(ErrorKind::input,
           "{}: the {} value at position {} is no token id; ids lie in [0, 2^31), tokenize the "
           "text again",
           layout_.file.path(), name(layout_.code), at_ + (bad - ids.begin()));
    }
    const auto largest = std::max_element(ids.begin(), ids.end());
    if (largest != ids.end() && *largest > content_.largest.id) {
      content_.largest = {*largest, at_ + (largest - ids.begin())};
    }
    for (size_t i = 0; find_documents_ && i < ids.size(); ++i) {
      const auto position = at_ + static_cast<int64_t>(i);
      if (ids[i] == *layout_.document_start && position > 0) {
        content_.documents.push_back(position);
      }
    }
    at_ += static_cast<int64_t>(ids.size());
  }

  void finish() {
    if (find_documents_) content_.documents.push_back(at_);
  }

 private:
  const TokenLayout& layout_;
  FileContent& content_;
  bool find_documents_;
  std::vector<TokenId> ids_;
  int64_t at_ = 0;
};

FileContent read_through(const TokenLayout& layout, const InputFile& file, bool ids,
                         ContentCheck& check) {
  if (check.announce) check.announce(file.path(), file.size());
  FileContent content;
  std::optional<IdScan> scan;
  if (ids) scan.emplace(layout, content);
  DigestStream digest;
  std::vector<std::byte> block(static_cast<size_t>(kReadBytes));
  const auto read = [&](int64_t begin, int64_t end, bool of_ids) {
    for (int64_t at = begin; at < end; at += kReadBytes) {
      const std::span piece(block.data(), static_cast<size_t>(std::min(kReadBytes, end - at)));
      file.read(at, piece);
      digest.add(piece);
      if (of_ids) scan->add(piece);
    }
  };
  const int64_t header = ids ? layout.offset : 0;
  read(0, header, false);
  read(header, file.size(), ids);
  check.bytes_read += file.size();
  if (scan) scan->finish();
  content.digest = to_string(digest.finish());
  return content;
}

}  // namespace

FileContent content_of(const TokenLayout& layout, const InputFile& file, bool ids,
                       ContentCheck& check) {
  const std::string kind =
      ids ? fmt::format("{} {}", layout.format, name(layout.code)) : std::string("bytes");
  if (check.memory != nullptr && !check.reread) {
    if (auto known = check.memory->find(file, kind)) return std::move(*known);
  }
  const FileStamp before = file.stamp();
  FileContent content = read_through(layout, file, ids, check);
  if (check.memory != nullptr) {
    const std::string problem = check.memory->keep(file, kind, before, content);
    if (!problem.empty() && check.notices.empty()) {  // one line says it of all files
      check.notices.push_back(fmt::format(
          "what was read of {} could not be kept, the next start reads all data again: {}",
          file.path(), problem));
    }
  }
  return content;
}

}  // namespace weft
