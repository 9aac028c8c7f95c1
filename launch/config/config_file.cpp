#include "launch/config/config_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "data/tokenizer/utf8.h"

namespace weft {

namespace {

constexpr size_t kLargestFile = size_t{1} << 20;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

ConfigText problem_at(std::string_view text, size_t offset, std::string message) {
  const std::string_view before = text.substr(0, offset);
  const size_t newline = before.rfind('\n');
  const size_t line_start = newline == std::string_view::npos ? 0 : newline + 1;
  const auto starts_character = [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  };
  ConfigText result;
  result.problem = std::move(message);
  result.line = 1 + static_cast<int>(std::count(before.begin(), before.end(), '\n'));
  result.column =
      1 + static_cast<int>(std::count_if(before.begin() + static_cast<std::ptrdiff_t>(line_start),
                                         before.end(), starts_character));
  return result;
}

ConfigText problem(std::string message) {
  ConfigText result;
  result.problem = std::move(message);
  return result;
}

ConfigText too_large() {
  return problem("larger than 1 MiB, which no configuration is; is this the right file?");
}

// Up to one byte more than a configuration may have; nullopt with errno on an error.
std::optional<std::string> read_some(int fd) {
  std::string text(kLargestFile + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = read(fd, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  text.resize(size);
  return text;
}

}  // namespace

ConfigText check_config_text(std::string text) {
  if (text.empty()) return problem("empty; `weft config help` lists the keys");
  if (const auto fault = find_invalid_utf8(text)) {
    return problem_at(text, fault->offset,
                      fmt::format("byte 0x{:02x} is not UTF-8; save the file as UTF-8",
                                  static_cast<unsigned char>(text[fault->offset])));
  }
  // The YAML parser takes U+0004 for the end of the file and would drop what follows.
  const auto control = std::find_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t') ||
           c == 0x7f;
  });
  if (control != text.end()) {
    return problem_at(text, static_cast<size_t>(control - text.begin()),
                      fmt::format("a control character (0x{:02x}) is not allowed; remove it",
                                  static_cast<unsigned char>(*control)));
  }
  ConfigText result;
  result.text = std::move(text);
  return result;
}

ConfigText read_config_file(const std::string& path) {
  const auto system_problem = [] {
    const int error = errno;
    if (error == ENOENT) return problem("no such file");
    return problem(fmt::format("cannot be read: {}", std::strerror(error)));
  };
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return system_problem();
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return system_problem();
  if (S_ISDIR(status.st_mode)) return problem("a directory; name a YAML file in it");
  if (!S_ISREG(status.st_mode)) return problem("not a regular file");
  std::optional<std::string> text = read_some(file.get());
  if (!text) return system_problem();
  if (text->size() > kLargestFile) return too_large();
  return check_config_text(std::move(*text));
}

}  // namespace weft
