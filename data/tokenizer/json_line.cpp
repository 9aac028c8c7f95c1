#include "data/tokenizer/json_line.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/base/error.h"
#include "data/tokenizer/utf8.h"

namespace weft {
namespace {

constexpr int kDeepest = 64;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Scanner {
 public:
  Scanner(std::string_view line, std::string_view field, std::string_view where)
      : line_(line), field_(field), where_(where) {}

  // Calls value(key) at the beginning of each value of the object, which it must read or skip().
  template <typename F>
  void object(F&& value) {
    space();
    if (peek() != '{') {
      fail(ErrorKind::input, "{}: is {}, not an object such as {{\"{}\": ...}}", where_,
           kind_here(), field_);
    }
    ++at_;
    space();
    for (bool first = true; peek() != '}'; first = false) {
      if (!first) expect(',');
      space();
      std::string key;
      string(&key);
      space();
      expect(':');
      space();
      value(key);
      space();
    }
    ++at_;
    space();
    if (at_ != line_.size()) broken("something follows the object");
  }

  // Steps over one value.
  void skip() {
    if (peek() == '"') return string(nullptr);
    if (peek() == '{' || peek() == '[') return skip_nested();
    for (const std::string_view word : {"true", "false", "null", "NaN", "Infinity", "-Infinity"}) {
      if (rest().starts_with(word)) {
        at_ += word.size();
        return;
      }
    }
    number();
  }

  // A text; `out` may be null.
  void string(std::string* out) {
    expect('"');
    for (;;) {
      const size_t end = std::min(line_.find_first_of("\"\\", at_), line_.size());
      const std::string_view plain = line_.substr(at_, end - at_);
      const auto control =
          std::ranges::find_if(plain, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
      at_ += static_cast<size_t>(control - plain.begin());
      if (control != plain.end()) broken("a control character in a text");
      if (out != nullptr) out->append(plain);
      if (at_ == line_.size()) broken("the line ends in a text");
      if (line_[at_++] == '"') return;
      escape(out);
    }
  }

  // A list of ids.
  void ids(int64_t vocab_size, std::vector<TokenId>& out) {
    expect('[');
    space();
    for (bool first = true; peek() != ']'; first = false) {
      if (!first) expect(',');
      space();
      const size_t begin = at_;
      TokenId id = -1;
      const auto [end, error] = std::from_chars(rest().data(), rest().data() + rest().size(), id);
      at_ += static_cast<size_t>(end - rest().data());
      const std::string_view text = line_.substr(begin, at_ - begin);
      const bool zeros = text.size() > 1 && text[0] == '0';
      space();
      const bool whole = peek() == ',' || peek() == ']';
      if (error != std::errc() || text[0] == '-' || zeros || !whole || id >= vocab_size) {
        const std::string_view shown = line_.substr(begin, kQuoted);
        fail(ErrorKind::input, "{}: {} is not an id of the vocabulary [0, {})", where_,
             shown.substr(0, std::min(shown.find_first_of(",]"), complete_utf8(shown))),
             vocab_size);
      }
      out.push_back(id);
    }
    ++at_;
  }

  char peek() const { return at_ < line_.size() ? line_[at_] : '\0'; }

  std::string_view kind_here() const {
    switch (peek()) {
      case '"':
        return "a string";
      case '[':
        return "a list";
      case '{':
        return "an object";
      case 't':
      case 'f':
        return "a boolean";
      case 'n':
        return "null";
      default:
        return is_digit(peek()) || peek() == '-' ? "a number" : "no JSON";
    }
  }

 private:
  std::string_view rest() const { return line_.substr(at_); }

  void space() { at_ = std::min(line_.find_first_not_of(" \t\r\n", at_), line_.size()); }

  void expect(char c) {
    if (peek() != c) broken(fmt::format("'{}' is missing", c));
    ++at_;
  }

  // Lists and objects in one another, without recursion.
  void skip_nested() {
    std::string open;  // the closing brackets that are due, innermost last
    do {
      const char c = peek();
      if (c == '{' || c == '[') {
        if (open.size() == kDeepest) {
          broken(fmt::format("lists and objects nested more than {} deep", kDeepest));
        }
        open.push_back(c == '{' ? '}' : ']');
        ++at_;
        space();
        if (peek() == open.back()) {
          close(open);
        } else if (open.back() == '}') {
          member();
        }
        continue;
      }
      skip();
      space();
      next(open);
    } while (!open.empty());
  }

  // Behind a value: the end of what it is in, of what that is in, or the next value.
  void next(std::string& open) {
    while (!open.empty()) {
      if (peek() == open.back()) {
        ++at_;
        open.pop_back();
        if (!open.empty()) space();
        continue;
      }
      expect(',');
      space();
      if (open.back() == '}') member();
      return;
    }
  }

  void close(std::string& open) {
    ++at_;
    open.pop_back();
    if (open.empty()) return;
    space();
    next(open);
  }

  void member() {
    string(nullptr);
    space();
    expect(':');
    space();
  }

  // -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?
  void number() {
    const auto digits = [&] {
      const size_t begin = at_;
      while (is_digit(peek())) ++at_;
      return at_ - begin;
    };
    if (peek() == '-') ++at_;
    const bool zero = peek() == '0';
    const size_t whole = digits();
    if (whole == 0 || (zero && whole > 1)) broken("no value");
    if (peek() == '.') {
      ++at_;
      if (digits() == 0) broken("a point without digits");
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (digits() == 0) broken("an exponent without digits");
    }
  }

  // Behind a backslash.
  void escape(std::string* out) {
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
    const size_t name = kNames.find(peek());
    if (at_ < line_.size() && name != std::string_view::npos) {
      ++at_;
      if (out != nullptr) out->push_back(kValues[name]);
      return;
    }
    expect('u');
    char32_t cp = hex();
    const bool high = cp >= 0xD800 && cp < 0xDC00;
    if (high && rest().starts_with("\\u")) {
      const size_t begin = at_;
      at_ += 2;
      const char32_t low = hex();
      if (low >= 0xDC00 && low < 0xE000) {
        cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
      } else {
        at_ = begin;
      }
    }
    if (out == nullptr) return;
    if (cp >= 0xD800 && cp < 0xE000) {
      broken(fmt::format("\\u{:04x} is half of a surrogate pair and stands for no character",
                         static_cast<uint32_t>(cp)));
    }
    append_utf8(cp, *out);
  }

  char32_t hex() {
    uint32_t value = 0;
    const std::string_view digits = rest().substr(0, 4);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.size() < 4 || error != std::errc() || end != digits.data() + 4) {
      broken("\\u without four hexadecimal digits");
    }
    at_ += 4;
    return value;
  }

  [[noreturn]] void broken(std::string_view what) const {
    fail(ErrorKind::input,
         "{}: broken JSON near column {}: {}; a line must be one object such as {{\"{}\": ...}}",
         where_, at_ + 1, what, field_);
  }

  std::string_view line_, field_, where_;
  size_t at_ = 0;
};

[[noreturn]] void fail_twice(std::string_view where, std::string_view field) {
  fail(ErrorKind::input, "{}: field '{}' is there twice; which one is meant?", where, field);
}

}  // namespace

JsonText find_json_text(std::string_view line, std::string_view field, std::string_view where) {
  using State = JsonText::State;
  JsonText found;
  bool first = true;
  Scanner scanner(line, field, where);
  scanner.object([&](const std::string& key) {
    if (std::exchange(first, false)) found.first_key = key;
    if (key != field) return scanner.skip();
    if (found.state != State::missing) fail_twice(where, field);
    if (scanner.peek() == '"') {
      found.state = State::text;
      return scanner.string(&found.text);
    }
    found.state = scanner.peek() == 'n' ? State::null : State::other;
    if (found.state == State::other) found.text = scanner.kind_here();
    scanner.skip();
  });
  return found;
}

void find_json_ids(std::string_view line, std::string_view field, std::string_view where,
                   int64_t vocab_size, std::vector<TokenId>& ids) {
  bool found = false;
  ids.clear();
  Scanner scanner(line, field, where);
  scanner.object([&](const std::string& key) {
    if (key != field) return scanner.skip();
    if (std::exchange(found, true)) fail_twice(where, field);
    if (scanner.peek() != '[') {
      fail(ErrorKind::input, "{}: field '{}' is {}, not a list of ids", where, field,
           scanner.kind_here());
    }
    scanner.ids(vocab_size, ids);
  });
  if (!found) fail(ErrorKind::input, "{}: no list \"{}\" in the object", where, field);
}

bool is_json_object(std::string_view line) {
  bool any = false;
  try {
    Scanner scanner(line, "text", "");
    scanner.object([&](const std::string&) {
      any = true;
      scanner.skip();
    });
  } catch (const Error&) {
    return false;
  }
  return any;
}

}  // namespace weft
