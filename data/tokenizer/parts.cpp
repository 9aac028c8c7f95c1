#include "data/tokenizer/parts.h"

#include <algorithm>

#include "core/base/error.h"

namespace weft {
namespace {

// The text read but not yet encoded. Everything up to `checked` is UTF-8.
class Window {
 public:
  explicit Window(TextSource source) : source_(std::move(source)) {}

  // Reads up to `bytes` more and checks them; false at the end of the text.
  bool read(size_t bytes) {
    const size_t size = text_.size();
    text_.resize(size + bytes);
    source_.in.read(text_.data() + size, static_cast<std::streamsize>(bytes));
    text_.resize(size + static_cast<size_t>(source_.in.gcount()));
    if (source_.in.bad()) fail(ErrorKind::io, "{}: reading failed", source_.name);
    const bool more = static_cast<bool>(source_.in);
    const std::string_view fresh = std::string_view(text_).substr(checked_);
    const std::string_view whole = more ? fresh.substr(0, complete_utf8(fresh)) : fresh;
    require_utf8(whole, source_.name, checked_at_);
    checked_ += whole.size();
    checked_at_ = advance(checked_at_, whole);
    return more;
  }

  std::string_view checked() const { return std::string_view(text_).substr(0, checked_); }

  void drop(size_t bytes) {
    begin_ = advance(begin_, checked().substr(0, bytes));
    text_.erase(0, bytes);
    checked_ -= bytes;
  }

  void encode(const Tokenizer& tokenizer, size_t bytes, bool specials,
              std::vector<TokenId>& ids) const {
    encode_naming(tokenizer, checked().substr(0, bytes), specials, source_.name, ids, begin_);
  }

 private:
  TextSource source_;
  std::string text_;
  size_t checked_ = 0;
  TextPosition begin_, checked_at_;
};

}  // namespace

void encode_naming(const Tokenizer& tokenizer, std::string_view text, bool specials,
                   std::string_view where, std::vector<TokenId>& out, TextPosition start) {
  try {
    tokenizer.encode(text, specials, out);
  } catch (const Error& error) {
    if (start.offset == 0) fail(error.kind(), "{}: {}", where, error.what());
    fail(error.kind(), "{}: {} (counted from byte offset {}, line {} of the text)", where,
         error.what(), start.offset, start.line);
  }
}

void encode_parts(const Tokenizer& tokenizer, TextSource source, bool specials, const IdSink& sink,
                  size_t part_bytes) {
  Window window(std::move(source));
  std::vector<TokenId> ids;
  for (bool more = true; more;) {
    // Where there was no cut, what is there has to double before it is searched again.
    more = window.read(std::max(part_bytes, window.checked().size()));
    const std::string_view text = window.checked();
    const size_t cut = more ? tokenizer.safe_cut(text) : text.size();
    if (cut == 0) continue;
    ids.clear();
    window.encode(tokenizer, cut, specials, ids);
    sink(ids, cut);
    window.drop(cut);
  }
}

}  // namespace weft
