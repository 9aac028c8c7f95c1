// Files of a checkpoint: descriptors, whole-file reads that follow no symbolic link, and
// FileWriter, through which every change to the disk goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/checkpoint/write_hooks.h"

namespace weft {

// Owns a file descriptor; closes it, without a check (FileWriter::close has one).
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// Opens a directory for the functions below. Throws Error{input} when it is none, else as
// kind_of_path_error says.
FileDescriptor open_directory(const std::string& path);

// Opens a regular file directly in the open directory `parent`, without following a symbolic link.
// `path` is for messages. Throws Error{input} when it is missing, a link or no regular file, and
// as kind_of_path_error says when opening fails otherwise.
FileDescriptor open_regular(const FileDescriptor& parent, const std::string& name,
                            const std::string& path);

int64_t file_size(const FileDescriptor& file, const std::string& path);

// Fills `out` from byte `at`. Throws Error{input} when the file ends before, Error{io} on failure.
void read_at(const FileDescriptor& file, int64_t at, std::span<std::byte> out,
             const std::string& path);

// The content of a file as text, refused with Error{input} above `limit` bytes.
std::string read_text(const FileDescriptor& file, int64_t limit, const std::string& path);

// Whether something has this name, be it a link that leads nowhere. Throws Error where that cannot
// be told.
bool is_there(const std::string& path);

// Names in an existing directory, sorted, without "." and "..".
std::vector<std::string> list_directory(const std::string& path);

// Changes to the disk. Each call asks the hooks first; each throws Error{io} that names the call,
// the path and the cause.
class FileWriter {
 public:
  explicit FileWriter(WriteHooks* hooks) : hooks_(hooks) {}

  void make_directory(const std::string& path);    // must not exist
  FileDescriptor create(const std::string& path);  // must not exist; write-only
  void resize(const FileDescriptor& file, int64_t bytes, const std::string& path);
  void write_at(const FileDescriptor& file, int64_t at, std::span<const std::byte> bytes,
                const std::string& path);
  void sync(const FileDescriptor& file, const std::string& path);
  // Some file systems say only here that a write failed.
  void close(FileDescriptor file, const std::string& path);
  void sync_directory(const std::string& path);  // as weft::sync_directory
  // A new file at `path` with these bytes, synced and put in place by rename.
  void put_file(const std::string& path, std::span<const std::byte> bytes);
  void rename(const std::string& from, const std::string& to);
  // Puts `fresh` in place of `place`, in one step; where the file system cannot, `place` is renamed
  // to `spare` first. What stood at `place` is at `fresh` or at `spare` afterwards.
  void replace(const std::string& fresh, const std::string& place, const std::string& spare);
  void remove_tree(const std::string& path);

 private:
  int64_t ask(WriteCall call, const std::string& path);

  WriteHooks* hooks_;
};

}  // namespace weft
