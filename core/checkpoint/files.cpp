#include "core/checkpoint/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "core/base/directories.h"
#include "core/base/error.h"

namespace weft {
namespace {

[[noreturn]] void fail_io(std::string_view call, const std::string& path, int error) {
  fail(ErrorKind::io, "cannot {} {}: {}", call, path, std::strerror(error));
}

// Asks a disk that answers with an I/O error once more: not every one of them lasts.
template <typename Call>
auto asked_twice(Call&& call) {
  const auto result = call();
  return result < 0 && errno == EIO ? call() : result;
}

// Repeats a call of the C library that a signal interrupted.
template <typename Call>
auto uninterrupted(Call&& call) {
  while (true) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

constexpr int64_t kLargestCall = int64_t{1} << 30;  // Linux moves at most 2 GiB - 4 KiB at once

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

FileDescriptor open_directory(const std::string& path) {
  FileDescriptor directory(
      asked_twice([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (directory.get() < 0) {
    const ErrorKind kind = errno == ENOENT ? ErrorKind::input : kind_of_path_error(errno);
    fail(kind, "cannot open directory {}: {}", path, std::strerror(errno));
  }
  return directory;
}

FileDescriptor open_regular(const FileDescriptor& parent, const std::string& name,
                            const std::string& path) {
  FileDescriptor file(asked_twice([&] {
    return ::openat(parent.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  }));
  if (file.get() < 0) {
    if (errno == ENOENT) fail(ErrorKind::input, "{} is missing", path);
    if (errno == ELOOP)
      fail(ErrorKind::input, "{} is a symbolic link, which is not followed", path);
    fail(kind_of_path_error(errno), "cannot open {}: {}", path, std::strerror(errno));
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail_io("stat", path, errno);
  if (!S_ISREG(status.st_mode)) fail(ErrorKind::input, "{} is not a regular file", path);
  return file;
}

int64_t file_size(const FileDescriptor& file, const std::string& path) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail_io("stat", path, errno);
  return status.st_size;
}

void read_at(const FileDescriptor& file, int64_t at, std::span<std::byte> out,
             const std::string& path) {
  while (!out.empty()) {
    const size_t want = std::min(out.size(), static_cast<size_t>(kLargestCall));
    const ssize_t got = asked_twice(
        [&] { return uninterrupted([&] { return ::pread(file.get(), out.data(), want, at); }); });
    if (got < 0) fail_io("read", path, errno);
    if (got == 0) {
      fail(ErrorKind::input, "{} ends at byte {}, {} bytes early", path, at, out.size());
    }
    out = out.subspan(static_cast<size_t>(got));
    at += got;
  }
}

std::string read_text(const FileDescriptor& file, int64_t limit, const std::string& path) {
  const int64_t bytes = file_size(file, path);
  if (bytes > limit) {
    fail(ErrorKind::input, "{} has {} bytes; at most {} are read", path, bytes, limit);
  }
  std::string text(static_cast<size_t>(bytes), '\0');
  read_at(file, 0, std::as_writable_bytes(std::span(text)), path);
  return text;
}

bool is_there(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT) return false;
  fail(kind_of_path_error(errno), "cannot look at {}: {}", path, std::strerror(errno));
}

std::vector<std::string> list_directory(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error) {
    fail(kind_of_path_error(error.value()), "cannot list {}: {}", path, error.message());
  }
  std::sort(names.begin(), names.end());
  return names;
}

int64_t FileWriter::ask(WriteCall call, const std::string& path) {
  if (hooks_ == nullptr) return kLargestCall;
  const WriteFault fault = hooks_->before(call, path);
  if (fault.error != 0) fail_io(name(call), path, fault.error);
  return std::min(fault.at_most, kLargestCall);
}

void FileWriter::make_directory(const std::string& path) {
  ask(WriteCall::make_directory, path);
  if (::mkdir(path.c_str(), 0777) != 0) fail_io("make directory", path, errno);
}

FileDescriptor FileWriter::create(const std::string& path) {
  ask(WriteCall::open_file, path);
  FileDescriptor file(uninterrupted([&] {
    return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  }));
  if (file.get() < 0) fail_io("create", path, errno);
  return file;
}

void FileWriter::resize(const FileDescriptor& file, int64_t bytes, const std::string& path) {
  ask(WriteCall::resize, path);
  // No bytes are moved, so that what cannot be given its size cannot be written either.
  if (uninterrupted([&] { return ::ftruncate(file.get(), bytes); }) != 0) {
    fail_io("write", path, errno);
  }
}

void FileWriter::write_at(const FileDescriptor& file, int64_t at, std::span<const std::byte> bytes,
                          const std::string& path) {
  while (!bytes.empty()) {
    const int64_t at_most = ask(WriteCall::write, path);
    const size_t want = std::min(bytes.size(), static_cast<size_t>(at_most));
    const ssize_t done =
        uninterrupted([&] { return ::pwrite(file.get(), bytes.data(), want, at); });
    if (done < 0) fail_io("write", path, errno);
    if (done == 0) fail_io("write", path, ENOSPC);  // a disk that takes no byte gives no reason
    bytes = bytes.subspan(static_cast<size_t>(done));
    at += done;
  }
}

void FileWriter::sync(const FileDescriptor& file, const std::string& path) {
  ask(WriteCall::sync, path);
  if (uninterrupted([&] { return ::fsync(file.get()); }) != 0) fail_io("sync", path, errno);
}

void FileWriter::close(FileDescriptor file, const std::string& path) {
  ask(WriteCall::close_file, path);
  // An interrupted close has closed the descriptor, and its file was synced before.
  if (::close(file.release()) != 0 && errno != EINTR) fail_io("close", path, errno);
}

void FileWriter::sync_directory(const std::string& path) {
  ask(WriteCall::sync, path);
  if (const int error = weft::sync_directory(path); error != 0) fail_io("sync", path, error);
}

void FileWriter::put_file(const std::string& path, std::span<const std::byte> bytes) {
  const std::string draft = path + ".tmp";
  // The rest of a writer that died here.
  if (is_there(draft) && ::unlink(draft.c_str()) != 0) fail_io("remove", draft, errno);
  FileDescriptor file = create(draft);
  write_at(file, 0, bytes, draft);
  sync(file, draft);
  close(std::move(file), draft);
  rename(draft, path);
}

void FileWriter::rename(const std::string& from, const std::string& to) {
  ask(WriteCall::rename, from);
  if (::rename(from.c_str(), to.c_str()) != 0) fail_io("rename", from + " to " + to, errno);
}

void FileWriter::replace(const std::string& fresh, const std::string& place,
                         const std::string& spare) {
  ask(WriteCall::rename, fresh);
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, place.c_str(), RENAME_EXCHANGE) == 0) return;
  if (errno != EINVAL && errno != ENOSYS) fail_io("exchange", fresh + " and " + place, errno);
  rename(place, spare);
  try {
    rename(fresh, place);
  } catch (const Error&) {
    ::rename(spare.c_str(), place.c_str());  // else the next sweep does it
    throw;
  }
}

void FileWriter::remove_tree(const std::string& path) {
  ask(WriteCall::remove, path);
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) fail(ErrorKind::io, "cannot remove {}: {}", path, error.message());
}

}  // namespace weft
