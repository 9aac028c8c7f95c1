// Files of a checkpoint: descriptors, whole-file reads that follow no symbolic link, and
// FileWriter, through which every change to the disk goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/checkpoint/write_hooks.h"

namespace weft {

// Owns a file descriptor; closes it.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  int get() const { return fd_; }

 private:
  int fd_;
};

// Opens a directory for the functions below. Throws Error{input} when it is none.
FileDescriptor open_directory(const std::string& path);

// Opens a regular file directly in the open directory `parent`, without following a symbolic link.
// `path` is for messages. Throws Error{input} when it is missing, a link or no regular file, and
// Error{io} when opening fails otherwise.
FileDescriptor open_regular(const FileDescriptor& parent, const std::string& name,
                            const std::string& path);

int64_t file_size(const FileDescriptor& file, const std::string& path);

// Fills `out` from byte `at`. Throws Error{input} when the file ends before, Error{io} on failure.
void read_at(const FileDescriptor& file, int64_t at, std::span<std::byte> out,
             const std::string& path);

// The content of a file as text, refused with Error{input} above `limit` bytes.
std::string read_text(const FileDescriptor& file, int64_t limit, const std::string& path);

// Names in an existing directory, sorted, without "." and "..".
std::vector<std::string> list_directory(const std::string& path);

// Changes to the disk. Each call asks the hooks first; each throws Error{io} that names the call,
// the path and the cause.
class FileWriter {
 public:
  explicit FileWriter(WriteHooks* hooks) : hooks_(hooks) {}

  // Asks the hooks on behalf of a call that is made elsewhere.
  void announce(WriteCall call, const std::string& path);

  void make_directory(const std::string& path);           // must not exist
  FileDescriptor create(const std::string& path);         // must not exist; write-only
  FileDescriptor open_existing(const std::string& path);  // read and write
  void write_at(const FileDescriptor& file, int64_t at, std::span<const std::byte> bytes,
                const std::string& path);
  void sync(const FileDescriptor& file, const std::string& path);
  void sync_directory(const std::string& path);
  // A new file at `path` with these bytes, synced and put in place by rename.
  void put_file(const std::string& path, std::span<const std::byte> bytes);
  void rename(const std::string& from, const std::string& to);
  // Swaps two existing names in one step; where the file system cannot, in two renames by way of
  // `spare`.
  void exchange(const std::string& a, const std::string& b, const std::string& spare);
  void remove_tree(const std::string& path);

 private:
  int64_t ask(WriteCall call, const std::string& path);

  WriteHooks* hooks_;
};

}  // namespace weft
