// Files as the data module reads and writes them: by position, with the size checked on every read,
// and with errors that say what to do.
//
// Reading is pread, not mmap: a mapped file that another process truncates kills the reader with
// SIGBUS, a short pread is an error message.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace weft {

// An open file descriptor, closed with its owner.
class FileHandle {
 public:
  explicit FileHandle(int fd = -1) : fd_(fd) {}
  FileHandle(FileHandle&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileHandle& operator=(FileHandle&& other) noexcept;
  ~FileHandle();

  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// What tells that a file was changed without reading it; times in nanoseconds since 1970.
struct FileStamp {
  int64_t bytes = 0;
  uint64_t inode = 0;
  int64_t modified_ns = 0;  // the content
  int64_t changed_ns = 0;   // the content or the inode; no program can set it back
  bool operator==(const FileStamp&) const = default;
};

// A regular file open for reading. Const methods may be called from several threads at once.
class InputFile {
 public:
  // `what` names the file's role in messages ("text file"). Throws Error{input} where the path is
  // missing, a directory, not a regular file, or not readable.
  InputFile(const std::string& path, std::string_view what);

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }  // bytes, when it was opened
  // Two paths are one file where these are equal.
  std::pair<uint64_t, uint64_t> identity() const { return identity_; }

  // As it is now. Throws Error{io}.
  FileStamp stamp() const;

  // Fills `out` with the bytes from `offset` on. Throws Error{input} where the file ends before
  // (it was truncated since), Error{io} where the read fails.
  void read(int64_t offset, std::span<std::byte> out) const;

  // The whole file; for small ones. Throws as read does.
  std::string read_all() const;

 private:
  std::string path_;
  FileHandle handle_;
  int64_t size_ = 0;
  std::pair<uint64_t, uint64_t> identity_;
};

// The digest of the whole file, as 32 hex digits. Throws as InputFile::read does.
std::string digest_of(const InputFile& file);

// A new file, written front to back through a buffer. Every failure throws Error that names the
// path, the cause and the bytes needed so far: {environment} where room or a permission is missing,
// {io} where the disk fails. The destructor closes without a check;
// call close().
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);  // must not exist yet

  void write(std::span<const std::byte> bytes);
  // Overwrites bytes already written.
  void rewrite(int64_t offset, std::span<const std::byte> bytes);
  void close();
  int64_t size() const { return written_ + static_cast<int64_t>(buffer_.size()); }

 private:
  void flush();
  void put(int64_t offset, const char* bytes, size_t count);

  std::string path_;
  FileHandle handle_;
  std::string buffer_;
  int64_t written_ = 0;
};

// Writes a whole new file. Throws as OutputFile does.
void write_new_file(const std::string& path, std::string_view bytes);

}  // namespace weft
