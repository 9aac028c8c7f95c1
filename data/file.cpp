#include "data/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "core/base/digest.h"
#include "core/base/directories.h"
#include "core/base/error.h"

namespace weft {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;

// What the user can mend is of the environment; the rest may go better when it is tried again.
ErrorKind kind_for(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EROFS:
    case ENOENT:
    case EEXIST:
      return ErrorKind::environment;
    default:
      return kind_of_path_error(error);
  }
}

std::string_view hint_for(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "free some space or choose another --output";
    case EFBIG:
      return "the limit on file sizes is too low, see ulimit -f";
    case EACCES:
    case EPERM:
    case EROFS:
      return "choose a directory that you may write to";
    default:
      return "choose another --output";
  }
}

}  // namespace

FileHandle& FileHandle::operator=(FileHandle&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileHandle::~FileHandle() {
  if (fd_ >= 0) ::close(fd_);
}

InputFile::InputFile(const std::string& path, std::string_view what) : path_(path) {
  handle_ = FileHandle(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (handle_.get() < 0) {
    const int error = errno;
    fail(ErrorKind::input, "{} {}: {}; {}", what, path, std::strerror(error),
         error == EACCES ? "make it readable for this user" : "check the path");
  }
  struct stat info {};
  if (::fstat(handle_.get(), &info) != 0) {
    fail(ErrorKind::io, "{} {}: {}", what, path, std::strerror(errno));
  }
  if (S_ISDIR(info.st_mode)) {
    fail(ErrorKind::input, "{} {}: is a directory; name the file in it", what, path);
  }
  if (!S_ISREG(info.st_mode)) {
    fail(ErrorKind::input, "{} {}: is not a regular file; store its content in one first", what,
         path);
  }
  size_ = info.st_size;
  identity_ = {static_cast<uint64_t>(info.st_dev), static_cast<uint64_t>(info.st_ino)};
}

FileStamp InputFile::stamp() const {
  struct stat info {};
  if (::fstat(handle_.get(), &info) != 0)
    fail(ErrorKind::io, "{}: {}", path_, std::strerror(errno));
  const auto ns = [](const timespec& time) {
    return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  };
  return {info.st_size, static_cast<uint64_t>(info.st_ino), ns(info.st_mtim), ns(info.st_ctim)};
}

void InputFile::read(int64_t offset, std::span<std::byte> out) const {
  size_t done = 0;
  while (done < out.size()) {
    const auto at = offset + static_cast<int64_t>(done);
    const ssize_t got = ::pread(handle_.get(), out.data() + done, out.size() - done, at);
    if (got > 0) {
      done += static_cast<size_t>(got);
    } else if (got == 0) {
      fail(ErrorKind::input,
           "{}: ends at byte {}, {} bytes were expected; it was truncated, restore or rewrite it",
           path_, at, offset + static_cast<int64_t>(out.size()));
    } else if (errno != EINTR) {
      fail(ErrorKind::io, "{}: reading at byte {} failed: {}", path_, at, std::strerror(errno));
    }
  }
}

std::string InputFile::read_all() const {
  std::string bytes(static_cast<size_t>(size_), '\0');
  read(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

std::string digest_of(const InputFile& file) {
  DigestStream digest;
  std::vector<std::byte> block(kBufferBytes);
  for (int64_t at = 0; at < file.size(); at += static_cast<int64_t>(block.size())) {
    const auto left = static_cast<size_t>(file.size() - at);
    const std::span piece(block.data(), std::min(left, block.size()));
    file.read(at, piece);
    digest.add(piece);
  }
  return to_string(digest.finish());
}

OutputFile::OutputFile(const std::string& path)
    : path_(path), handle_(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) {
  if (handle_.get() < 0) {
    const int error = errno;
    fail(kind_for(error), "cannot create {}: {}; {}", path, std::strerror(error), hint_for(error));
  }
  buffer_.reserve(kBufferBytes);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (buffer_.size() >= kBufferBytes) flush();
}

void OutputFile::rewrite(int64_t offset, std::span<const std::byte> bytes) {
  flush();
  WEFT_CHECK(offset + static_cast<int64_t>(bytes.size()) <= written_,
             "{}: {} bytes at {} of {} written", path_, bytes.size(), offset, written_);
  put(offset, reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void OutputFile::flush() {
  put(written_, buffer_.data(), buffer_.size());
  written_ += static_cast<int64_t>(buffer_.size());
  buffer_.clear();
}

void OutputFile::put(int64_t offset, const char* bytes, size_t count) {
  for (size_t done = 0; done < count;) {
    const auto at = offset + static_cast<int64_t>(done);
    const ssize_t put = ::pwrite(handle_.get(), bytes + done, count - done, at);
    if (put > 0) {
      done += static_cast<size_t>(put);
    } else if (put == 0 || errno != EINTR) {
      const int error = put == 0 ? ENOSPC : errno;  // a disk that takes no byte gives no reason
      fail(kind_for(error), "cannot write {} past byte {}: {}; {}", path_, at, std::strerror(error),
           hint_for(error));
    }
  }
}

void OutputFile::close() {
  flush();
  if (::close(handle_.release()) != 0 && errno != EINTR) {  // then it is closed
    const int error = errno;
    fail(kind_for(error), "cannot finish {}: {}; {}", path_, std::strerror(error), hint_for(error));
  }
}

void write_new_file(const std::string& path, std::string_view bytes) {
  OutputFile file(path);
  file.write(std::as_bytes(std::span(bytes)));
  file.close();
}

}  // namespace weft
