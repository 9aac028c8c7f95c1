#include "core/base/directories.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace weft {
namespace {

int sync_open(int directory) {
  while (::fsync(directory) != 0) {
    switch (errno) {
      case EINTR:
        continue;
      case EINVAL:
      case EBADF:
      case EOPNOTSUPP:
      case ENOSYS:
        return 0;
      default:
        return errno;
    }
  }
  return 0;
}

std::string parent_of(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

// What stat() says of a path; false where it leads to nothing.
bool look_at(const std::string& path, struct stat& status) {
  if (::stat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  fail(kind_of_path_error(errno), "cannot look at {}: {}", path, std::strerror(errno));
}

}  // namespace

bool leads_somewhere(const std::string& path) {
  struct stat status {};
  return look_at(path, status);
}

bool is_directory(const std::string& path) {
  struct stat status {};
  return look_at(path, status) && S_ISDIR(status.st_mode);
}

int sync_directory(const std::string& path) {
  int directory = -1;
  do {
    directory = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  } while (directory < 0 && errno == EINTR);
  if (directory < 0) return errno == EACCES ? 0 : errno;
  const int error = sync_open(directory);
  ::close(directory);  // nothing was written through it
  return error;
}

ErrorKind kind_of_path_error(int error) {
  switch (error) {
    case EACCES:
    case EPERM:
      return ErrorKind::environment;
    case EEXIST:
    case ELOOP:
    case ENAMETOOLONG:
    case ENOTDIR:
      return ErrorKind::input;
    default:
      return ErrorKind::io;
  }
}

void make_directories(const std::string& path) {
  if (is_directory(path)) return;
  const std::string parent = parent_of(path);
  if (parent != path) make_directories(parent);
  if (::mkdir(path.c_str(), 0777) != 0) {
    const int error = errno;
    if (error == EEXIST && is_directory(path)) return;  // made by another process meanwhile
    fail(kind_of_path_error(error), "cannot make directory {}: {}", path,
         error == EEXIST ? "a file of that name is there" : std::strerror(error));
  }
  if (const int error = sync_directory(parent); error != 0) {
    fail(ErrorKind::io, "cannot sync {}: {}", parent, std::strerror(error));
  }
}

}  // namespace weft
