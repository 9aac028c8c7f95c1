#include "data/staging.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "core/base/directories.h"
#include "core/base/error.h"
#include "data/file.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

void create_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0777) == 0) return;
  const int error = errno;
  fail(ErrorKind::environment,
       "cannot create directory {}: {}; choose an --output where you may write", path,
       std::strerror(error));
}

[[noreturn]] void fail_to_flush(const std::string& path, int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  fail(full ? ErrorKind::environment : ErrorKind::io, "cannot flush {} to the disk: {}", path,
       std::strerror(error));
}

void flush_file(const std::string& path) {
  FileHandle handle(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (handle.get() < 0) fail_to_flush(path, errno);
  while (::fsync(handle.get()) != 0) {
    if (errno != EINTR) fail_to_flush(path, errno);
  }
}

void flush_directory(const std::string& path) {
  if (const int error = sync_directory(path); error != 0) fail_to_flush(path, error);
}

void flush_tree(const std::string& directory) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    const std::string path = it->path().string();
    std::error_code ignored;
    it->is_directory(ignored) ? flush_directory(path) : flush_file(path);
  }
  if (error) fail_to_flush(directory, error.value());
  flush_directory(directory);
}

void rename_or_fail(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return;
  const int error = errno;
  fail(ErrorKind::environment, "cannot rename {} to {}: {}; choose another --output", from, to,
       std::strerror(error));
}

// Puts `fresh` at `place`; what stood at `place` stands at `fresh` afterwards.
void swap_places(const std::string& fresh, const std::string& place) {
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, place.c_str(), RENAME_EXCHANGE) == 0) return;
  const std::string aside = fresh + ".old";
  rename_or_fail(place, aside);
  if (::rename(fresh.c_str(), place.c_str()) != 0) {
    const int error = errno;
    rename_or_fail(aside, place);
    fail(ErrorKind::environment, "cannot rename {} to {}: {}", fresh, place, std::strerror(error));
  }
  rename_or_fail(aside, fresh);
}

}  // namespace

StagingDirectory::StagingDirectory(const std::string& output)
    : output_(output), staging_(fmt::format("{}.tmp-{}", output, ::getpid())) {
  std::vector<std::string> missing;
  std::error_code error;
  for (fs::path above = fs::path(output).parent_path(); !above.empty() && !fs::exists(above, error);
       above = above.parent_path()) {
    missing.insert(missing.begin(), above.string());
  }
  missing.push_back(staging_);
  try {
    for (const std::string& directory : missing) {
      create_directory(directory);
      created_.push_back(directory);
    }
  } catch (const Error&) {
    remove_created();
    throw;
  }
}

StagingDirectory::~StagingDirectory() {
  std::error_code ignored;
  fs::remove_all(staging_, ignored);
  if (!published_) remove_created();
}

void StagingDirectory::remove_created() {
  std::error_code ignored;
  for (auto it = created_.rbegin(); it != created_.rend(); ++it) fs::remove(*it, ignored);
}

std::string StagingDirectory::subdirectory(const std::string& name) const {
  const std::string path = staging_ + "/" + name;
  create_directory(path);
  return path;
}

std::string StagingDirectory::publish() {
  flush_tree(staging_);
  std::error_code error;
  if (fs::exists(output_, error) && !fs::is_empty(output_, error)) {
    swap_places(staging_, output_);
  } else {
    rename_or_fail(staging_, output_);
  }
  published_ = true;
  created_.back() = output_;  // whose name was staging_ so far
  for (const std::string& made : created_) {
    const fs::path above = fs::path(made).parent_path();
    flush_directory(above.empty() ? "." : above.string());
  }
  fs::remove_all(staging_, error);
  if (!error) return "";
  return fmt::format("what stood at {} cannot be removed and is left at {}: {}", output_, staging_,
                     error.message());
}

}  // namespace weft
