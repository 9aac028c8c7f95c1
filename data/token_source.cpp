// The one TokenSource over files, and the one over memory.
#include <algorithm>
#include <array>
#include <limits>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "data/token_layout.h"

namespace weft {
namespace {

constexpr int64_t kBlockTokens = int64_t{1} << 16;

// Reads and decodes ids [begin, begin + out.size()) through a buffer on the stack.
void read_ids(const TokenLayout& layout, int64_t begin, std::span<TokenId> out) {
  std::array<std::byte, 8192> buffer;
  const auto width = static_cast<size_t>(size_of(layout.code));
  const size_t block = buffer.size() / width;
  for (size_t done = 0; done < out.size();) {
    const size_t count = std::min(block, out.size() - done);
    const std::span bytes(buffer.data(), count * width);
    const auto position = begin + static_cast<int64_t>(done);
    layout.file.read(layout.offset + position * static_cast<int64_t>(width), bytes);
    decode_tokens(layout.code, bytes, out.subspan(done, count));
    done += count;
  }
}

void note_largest(std::span<const TokenId> ids, int64_t begin, LargestToken& largest) {
  const auto it = std::max_element(ids.begin(), ids.end());
  if (it != ids.end() && *it > largest.id) largest = {*it, begin + (it - ids.begin())};
}

// Calls f(begin, ids) for the ids of the file in blocks, front to back.
template <typename F>
void for_each_block(const TokenLayout& layout, F&& f) {
  std::vector<TokenId> ids(static_cast<size_t>(std::min(kBlockTokens, layout.count)));
  for (int64_t begin = 0; begin < layout.count; begin += kBlockTokens) {
    const std::span block(ids.data(),
                          static_cast<size_t>(std::min(kBlockTokens, layout.count - begin)));
    read_ids(layout, begin, block);
    f(begin, std::span<const TokenId>(block));
  }
}

// The first pass over a foreign file: refuses values that are no ids, notes the largest id and
// where documents begin.
void scan(TokenLayout& layout) {
  const bool find_documents = layout.documents.empty() && layout.document_start.has_value();
  if (find_documents) layout.documents.push_back(0);
  for_each_block(layout, [&](int64_t begin, std::span<const TokenId> ids) {
    const auto bad = std::find(ids.begin(), ids.end(), kNoToken);
    if (bad != ids.end()) {
      fail(
          ErrorKind::input,
          "{}: the {} value at position {} is no token id; ids lie in [0, 2^31), tokenize the text "
          "again",
          layout.file.path(), name(layout.code), begin + (bad - ids.begin()));
    }
    note_largest(ids, begin, layout.info.largest);
    for (size_t i = 0; find_documents && i < ids.size(); ++i) {
      const auto position = begin + static_cast<int64_t>(i);
      if (ids[i] == *layout.document_start && position > 0) layout.documents.push_back(position);
    }
  });
  if (find_documents) layout.documents.push_back(layout.count);
}

std::string content_digest(const TokenLayout& layout) {
  DigestStream digest;
  digest.add(digest_of(layout.file));
  digest.add(layout.index_digest);
  return to_string(digest.finish());
}

class FileTokens final : public TokenSource {
 public:
  explicit FileTokens(TokenLayout layout) : layout_(std::move(layout)) {
    if (layout_.info.digest.empty()) {
      scan(layout_);
      layout_.info.digest = content_digest(layout_);
    }
    if (layout_.documents.empty()) layout_.documents = {0, layout_.count};
    const size_t documents = layout_.documents.size() - 1;
    layout_.info.description =
        fmt::format("{}: {}, {} tokens ({}), {} document{}", layout_.info.path, layout_.format,
                    layout_.count, name(layout_.code), documents, documents == 1 ? "" : "s");
  }

  int64_t size() const override { return layout_.count; }
  const TokenInfo& info() const override { return layout_.info; }
  std::span<const int64_t> documents() const override { return layout_.documents; }

  void read(int64_t begin, std::span<TokenId> out) const override {
    WEFT_CHECK(begin >= 0 && begin + static_cast<int64_t>(out.size()) <= layout_.count,
               "{}: tokens [{}, +{}) of {}", layout_.info.path, begin, out.size(), layout_.count);
    read_ids(layout_, begin, out);
    for (size_t i = 0; i < out.size(); ++i) {
      if (out[i] < 0 || out[i] > layout_.info.largest.id) [[unlikely]] {
        fail(ErrorKind::input,
             "{}: token {} at position {}, the largest id was {}; the file was changed or damaged, "
             "make it again",
             layout_.file.path(), out[i], begin + static_cast<int64_t>(i), layout_.info.largest.id);
      }
    }
  }

  void verify() const override {
    const std::string found = content_digest(layout_);
    if (found != layout_.info.digest) {
      fail(
          ErrorKind::input,
          "{}: the content has digest {}, recorded is {}; the file was changed or damaged, make it "
          "again",
          layout_.file.path(), found, layout_.info.digest);
    }
  }

 private:
  TokenLayout layout_;
};

class MemoryTokens final : public TokenSource {
 public:
  MemoryTokens(std::vector<TokenId> ids, std::vector<int64_t> documents)
      : ids_(std::move(ids)), documents_(std::move(documents)) {
    const auto count = static_cast<int64_t>(ids_.size());
    if (documents_.empty()) documents_ = {0, count};
    WEFT_CHECK(documents_.front() == 0 && documents_.back() == count,
               "documents of {} tokens: [{} .. {}]", count, documents_.front(), documents_.back());
    note_largest(ids_, 0, info_.largest);
    info_.path = "memory";
    info_.description = fmt::format("{} tokens in memory", count);
    info_.digest = digest();
  }

  int64_t size() const override { return static_cast<int64_t>(ids_.size()); }
  const TokenInfo& info() const override { return info_; }
  std::span<const int64_t> documents() const override { return documents_; }
  void read(int64_t begin, std::span<TokenId> out) const override {
    WEFT_CHECK(begin >= 0 && begin + static_cast<int64_t>(out.size()) <= size(),
               "tokens [{}, +{}) of {}", begin, out.size(), size());
    std::copy_n(ids_.begin() + begin, out.size(), out.begin());
  }
  void verify() const override { WEFT_CHECK(digest() == info_.digest, "tokens changed"); }

 private:
  std::string digest() const {
    DigestStream digest;
    digest.add(std::as_bytes(std::span(ids_)));
    digest.add(std::as_bytes(std::span(documents_)));
    return to_string(digest.finish());
  }

  std::vector<TokenId> ids_;
  std::vector<int64_t> documents_;
  TokenInfo info_;
};

}  // namespace

std::unique_ptr<TokenSource> make_token_source(TokenLayout layout) {
  return std::make_unique<FileTokens>(std::move(layout));
}

std::unique_ptr<TokenSource> memory_tokens(std::vector<TokenId> ids,
                                           std::vector<int64_t> documents) {
  return std::make_unique<MemoryTokens>(std::move(ids), std::move(documents));
}

void require_vocabulary(const TokenSource& tokens, int64_t vocab_size) {
  const TokenInfo& info = tokens.info();
  if (info.largest.id < vocab_size) return;
  fail(ErrorKind::input,
       "{}: token {} at position {}, the model's vocabulary has {} ids (0 to {}); set its size to "
       "{} or tokenize with the model's tokenizer",
       info.path, info.largest.id, info.largest.position, vocab_size, vocab_size - 1,
       std::max(info.vocab_size.value_or(0), int64_t{info.largest.id} + 1));
}

}  // namespace weft
