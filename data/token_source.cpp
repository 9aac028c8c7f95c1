// The one TokenSource over files, and the one over memory.
#include <algorithm>
#include <array>
#include <limits>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "data/token_layout.h"

namespace weft {
namespace {

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

class FileTokens final : public TokenSource {
 public:
  FileTokens(TokenLayout layout, ContentCheck& check) : layout_(std::move(layout)) {
    if (layout_.file_digest.empty()) {
      take_content(check);
    } else if (check.verify) {
      require_content(check);
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
    ContentCheck check;
    require_content(check);
  }

 private:
  void take_content(ContentCheck& check) {
    FileContent content = content_of(layout_, layout_.file, /*ids=*/true, check);
    layout_.file_digest = content.digest;
    layout_.info.largest = content.largest;
    if (!content.documents.empty()) layout_.documents = std::move(content.documents);
    if (layout_.index) {
      layout_.index_digest = content_of(layout_, *layout_.index, /*ids=*/false, check).digest;
    }
    DigestStream digest;
    digest.add(layout_.file_digest);
    digest.add(layout_.index_digest);
    layout_.info.digest = to_string(digest.finish());
  }

  void require_content(ContentCheck& check) const {
    require_digest(layout_.file, layout_.file_digest, check);
    if (layout_.index) require_digest(*layout_.index, layout_.index_digest, check);
  }

  void require_digest(const InputFile& file, const std::string& recorded,
                      ContentCheck& check) const {
    const std::string found = content_of(layout_, file, /*ids=*/false, check).digest;
    if (found == recorded) return;
    fail(ErrorKind::input,
         "{}: the content has digest {}, recorded is {}; the file was changed or damaged, restore "
         "it or make it again",
         file.path(), found, recorded);
  }

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

std::unique_ptr<TokenSource> make_token_source(TokenLayout layout, ContentCheck& check) {
  return std::make_unique<FileTokens>(std::move(layout), check);
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
