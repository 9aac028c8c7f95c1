#include "data/tokenizer/files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/base/error.h"

namespace weft::tokenizer_detail {
namespace {

constexpr size_t kLargest = size_t{1} << 30;
constexpr std::streamsize kStep = 1 << 20;

}  // namespace

std::ifstream open_file(const std::string& path, std::string_view what) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    fail(ErrorKind::input, "{} file {}: {}; check the path", what, path, std::strerror(errno));
  }
  if (S_ISDIR(info.st_mode)) {
    fail(ErrorKind::input, "{} file {}: is a directory; name the file in it", what, path);
  }
  // A pipe without a writer would be waited for, and a device may never end.
  if (!S_ISREG(info.st_mode)) {
    fail(ErrorKind::input, "{} file {}: is not a regular file; store its content in one first",
         what, path);
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    fail(ErrorKind::input, "{} file {}: {}; check its permissions", what, path,
         std::strerror(errno));
  }
  return in;
}

std::string read_file(const std::string& path, std::string_view what) {
  std::ifstream in = open_file(path, what);
  const auto too_large = [&] {
    fail(ErrorKind::input, "{} file {}: larger than the {} bytes allowed here", what, path,
         kLargest);
  };
  std::error_code error;
  if (std::filesystem::file_size(path, error) > kLargest && !error) too_large();
  std::string bytes;
  while (in) {
    const size_t size = bytes.size();
    bytes.resize(size + kStep);
    in.read(bytes.data() + size, kStep);
    bytes.resize(size + static_cast<size_t>(in.gcount()));
    if (bytes.size() > kLargest) too_large();
  }
  if (in.bad()) fail(ErrorKind::io, "{} file {}: reading failed", what, path);
  if (bytes.empty()) fail(ErrorKind::input, "{} file {}: is empty", what, path);
  return bytes;
}

void write_file(const std::string& path, std::string_view bytes) {
  const std::string aside = fmt::format("{}.{}.tmp", path, ::getpid());
  {
    std::ofstream out(aside, std::ios::binary | std::ios::trunc);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    out.close();
    if (!out) {
      std::remove(aside.c_str());
      fail(ErrorKind::io, "cannot write {}: {}", path, std::strerror(errno));
    }
  }
  std::error_code error;
  std::filesystem::rename(aside, path, error);
  if (error) {
    std::remove(aside.c_str());
    fail(ErrorKind::io, "cannot write {}: {}", path, error.message());
  }
}

}  // namespace weft::tokenizer_detail
