// A library to preload: the calls by which a program changes files fail, one of them or from one
// on.
//
//   WEFT_FILE_FAULTS_BELOW  calls on paths that contain this text are counted, others never fail
//   WEFT_FILE_FAULTS_LOG    a file that gets a line for each of them: its name and path
//   WEFT_FILE_FAULT         NAME:K:ERRNO:COUNT, the K-th call NAME (from 1) fails with ERRNO, and
//   so
//                           do the COUNT - 1 after it; errno 0 makes a write move half of its bytes
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

struct Fault {
  std::array<char, 16> name{};
  long first = 0, count = 0;
  int error = 0;
};

const Fault& fault() {
  static const Fault parsed = [] {
    Fault f;
    const char* text = std::getenv("WEFT_FILE_FAULT");
    if (text != nullptr) {
      std::sscanf(text, "%15[^:]:%ld:%d:%ld", f.name.data(), &f.first, &f.error, &f.count);
    }
    return f;
  }();
  return parsed;
}

void log_call(const char* name, const char* path) {
  static const char* const log = std::getenv("WEFT_FILE_FAULTS_LOG");
  if (log == nullptr) return;
  std::array<char, 4200> line{};
  const int length = std::snprintf(line.data(), line.size(), "%s %s\n", name, path);
  const long file = ::syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0666);
  ::syscall(SYS_write, file, line.data(), length);
  ::syscall(SYS_close, file);
}

// Counts a call; whether it fails.
bool strikes(const char* name, const char* path) {
  static const char* const below = std::getenv("WEFT_FILE_FAULTS_BELOW");
  if (below == nullptr || path == nullptr || std::strstr(path, below) == nullptr) return false;
  const int saved = errno;
  log_call(name, path);
  errno = saved;
  static std::atomic<long> calls = 0;
  const Fault& f = fault();
  if (std::strcmp(name, f.name.data()) != 0) return false;
  const long call = ++calls;
  return call >= f.first && call < f.first + f.count;
}

bool strikes(const char* name, int file) {
  std::array<char, 32> link{};
  std::array<char, 4096> path{};
  std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", file);
  const int saved = errno;
  const ssize_t length = ::readlink(link.data(), path.data(), path.size() - 1);
  errno = saved;
  return length > 0 && strikes(name, path.data());
}

// An open to read only looks at what is there.
const char* open_name(int flags) { return (flags & (O_WRONLY | O_RDWR)) != 0 ? "open" : "look"; }

int fails() {
  errno = fault().error;
  return -1;
}

// A write of `size` bytes through `call(bytes)`.
template <typename Call>
ssize_t write_through(int file, size_t size, Call&& call) {
  if (!strikes("write", file)) return call(size);
  if (fault().error == 0) return call((size + 1) / 2);
  return fails();
}

}  // namespace

// Under the names of the C library, whose parameters these have.
extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  if (strikes(open_name(flags), path)) return fails();
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

int openat(int directory, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  const char* const name = open_name(flags);
  const bool struck = path[0] == '/' ? strikes(name, path) : strikes(name, directory);
  if (struck) return fails();
  return static_cast<int>(::syscall(SYS_openat, directory, path, flags, mode));
}

ssize_t write(int file, const void* data, size_t size) {
  return write_through(file, size, [&](size_t n) { return ::syscall(SYS_write, file, data, n); });
}

ssize_t pwrite(int file, const void* data, size_t size, off_t at) {
  return write_through(file, size,
                       [&](size_t n) { return ::syscall(SYS_pwrite64, file, data, n, at); });
}

int ftruncate(int file, off_t size) noexcept {
  if (strikes("ftruncate", file)) return fails();
  return static_cast<int>(::syscall(SYS_ftruncate, file, size));
}

int fsync(int file) {
  if (strikes("fsync", file)) return fails();
  return static_cast<int>(::syscall(SYS_fsync, file));
}

// Of files that were written: no other close has anything to say. As the kernel does it, the
// descriptor is gone whatever the answer.
int close(int file) {
  const bool written = (::fcntl(file, F_GETFL) & O_ACCMODE) != O_RDONLY;
  const bool struck = written && strikes("close", file);
  const auto result = static_cast<int>(::syscall(SYS_close, file));
  return struck ? fails() : result;
}

int rename(const char* from, const char* to) noexcept {
  if (strikes("rename", from)) return fails();
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int renameat2(int a, const char* from, int b, const char* to, unsigned flags) noexcept {
  if (strikes("rename", from)) return fails();
  return static_cast<int>(::syscall(SYS_renameat2, a, from, b, to, flags));
}

int mkdir(const char* path, mode_t mode) noexcept {
  if (strikes("mkdir", path)) return fails();
  return static_cast<int>(::syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

int unlink(const char* path) noexcept {
  if (strikes("unlink", path)) return fails();
  return static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

int rmdir(const char* path) noexcept {
  if (strikes("unlink", path)) return fails();
  return static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR));
}

int unlinkat(int directory, const char* path, int flags) noexcept {
  const bool struck = path[0] == '/' ? strikes("unlink", path) : strikes("unlink", directory);
  if (struck) return fails();
  return static_cast<int>(::syscall(SYS_unlinkat, directory, path, flags));
}

int open64(const char* path, int flags, ...) __attribute__((alias("open")));
int openat64(int directory, const char* path, int flags, ...) __attribute__((alias("openat")));
ssize_t pwrite64(int file, const void* data, size_t size, off_t at)
    __attribute__((alias("pwrite")));
int ftruncate64(int file, off_t size) noexcept __attribute__((alias("ftruncate")));

}  // extern "C"
