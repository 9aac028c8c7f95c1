#include "core/checkpoint/directory_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "core/base/directories.h"
#include "core/base/error.h"
#include "core/base/host_name.h"

namespace weft {
namespace {

// What the holder wrote about itself, on one line.
std::string holder(const FileDescriptor& file) {
  std::array<char, 256> text{};
  const ssize_t got = ::pread(file.get(), text.data(), text.size() - 1, 0);
  if (got <= 0) return "another process";
  const std::string line(text.data(), static_cast<size_t>(got));
  return line.substr(0, line.find('\n'));
}

[[noreturn]] void refuse(const std::string& directory, const FileDescriptor& file) {
  fail(ErrorKind::environment,
       "{} is in use by {}; stop that run, or give this one another checkpoint directory or name",
       directory, holder(file));
}

// What file systems without flock, or whose service for it does not run, answer.
bool means_no_locks(int error) {
  return error == ENOLCK || error == EOPNOTSUPP || error == ENOSYS || error == EINVAL;
}

// A name among the sockets of this host, which the kernel drops with the process as well. Empty
// when another process has it.
FileDescriptor lock_on_this_host(const std::string& directory) {
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0) {
    fail(ErrorKind::io, "cannot stat {}: {}", directory, std::strerror(errno));
  }
  const std::string name = fmt::format("weft-checkpoints-{}-{}", status.st_dev, status.st_ino);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(name.begin(), name.end(), address.sun_path + 1);  // behind a zero: no file
  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (socket.get() >= 0 &&
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0) {
    return socket;
  }
  if (errno == EADDRINUSE) return FileDescriptor();
  fail(ErrorKind::io, "cannot lock {} on this host: {}", directory, std::strerror(errno));
}

}  // namespace

DirectoryLock::DirectoryLock(const std::string& directory)
    : directory_(directory), path_(directory + "/.lock") {
  make_directories(directory);
  const int error = take();
  if (error == 0) return;
  host_lock_ = lock_on_this_host(directory_);
  if (host_lock_.get() < 0) refuse(directory_, file_);
  sign();
  notice_ = fmt::format(
      "the file system of {} has no locks (flock: {}): a second run is refused on this host alone; "
      "start none on another host with the same checkpoint directory",
      directory_, std::strerror(error));
}

// Opens the lock file and locks it. Where the file system has no locks, its errno; else 0.
int DirectoryLock::take() const {
  file_ = FileDescriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (file_.get() < 0) {
    fail(kind_of_path_error(errno), "cannot open {}: {}", path_, std::strerror(errno));
  }
  while (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (means_no_locks(errno)) return errno;
    if (errno == EWOULDBLOCK) refuse(directory_, file_);
    fail(ErrorKind::io, "cannot lock {}: {}", path_, std::strerror(errno));
  }
  sign();
  return 0;
}

// Says who holds the lock, for the message of the run that is refused.
void DirectoryLock::sign() const {
  const std::string self = fmt::format("pid {} on {}\n", ::getpid(), host_name());
  if (::ftruncate(file_.get(), 0) != 0 ||
      ::pwrite(file_.get(), self.data(), self.size(), 0) != static_cast<ssize_t>(self.size())) {
    fail(ErrorKind::io, "cannot write {}: {}", path_, std::strerror(errno));
  }
}

std::string DirectoryLock::confirm() const {
  struct stat held {
  }, present{};
  if (::fstat(file_.get(), &held) != 0) {
    fail(ErrorKind::io, "cannot stat {}: {}", path_, std::strerror(errno));
  }
  if (::lstat(path_.c_str(), &present) != 0) {
    if (errno != ENOENT) fail(ErrorKind::io, "cannot stat {}: {}", path_, std::strerror(errno));
    make_directories(directory_);
    take();
    return fmt::format(
        "{} was removed while this run held it, and is locked again; leave it to the run", path_);
  }
  if (held.st_dev == present.st_dev && held.st_ino == present.st_ino) return "";
  const FileDescriptor other(::open(path_.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  fail(ErrorKind::environment,
       "{} is not the file that this run locked: it was removed, and {} made another; this run "
       "saves "
       "no more, as two runs would remove each other's checkpoints",
       path_, holder(other));
}

}  // namespace weft
