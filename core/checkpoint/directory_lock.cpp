#include "core/checkpoint/directory_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "core/base/error.h"

namespace weft {
namespace {

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown host";
}

// What the holder wrote about itself, on one line.
std::string holder(const FileDescriptor& file) {
  std::array<char, 256> text{};
  const ssize_t got = ::pread(file.get(), text.data(), text.size() - 1, 0);
  if (got <= 0) return "another process";
  const std::string line(text.data(), static_cast<size_t>(got));
  return line.substr(0, line.find('\n'));
}

}  // namespace

DirectoryLock::DirectoryLock(const std::string& directory) : directory_(directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) fail(ErrorKind::io, "cannot make directory {}: {}", directory, error.message());
  const std::string path = directory + "/.lock";
  file_ = FileDescriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (file_.get() < 0) fail(ErrorKind::io, "cannot open {}: {}", path, std::strerror(errno));
  if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) fail(ErrorKind::io, "cannot lock {}: {}", path, std::strerror(errno));
    fail(ErrorKind::environment,
         "{} is in use by {}; stop that run or give this one another checkpoint directory",
         directory, holder(file_));
  }
  const std::string self = fmt::format("pid {} on {}\n", ::getpid(), host_name());
  if (::ftruncate(file_.get(), 0) != 0 ||
      ::pwrite(file_.get(), self.data(), self.size(), 0) != static_cast<ssize_t>(self.size())) {
    fail(ErrorKind::io, "cannot write {}: {}", path, std::strerror(errno));
  }
}

}  // namespace weft
