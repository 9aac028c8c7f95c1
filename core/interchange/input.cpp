#include "core/interchange/input.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "core/base/error.h"

namespace weft {

FileDescriptor open_input(const std::string& path) {
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    const int error = errno;
    fail(ErrorKind::input, "{}: {}; {}", path, std::strerror(error),
         error == EACCES ? "make it readable for this user" : "check the path");
  }
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) fail(ErrorKind::io, "{}: {}", path, std::strerror(errno));
  if (S_ISDIR(info.st_mode))
    fail(ErrorKind::input, "{}: is a directory; name the file in it", path);
  if (!S_ISREG(info.st_mode)) fail(ErrorKind::input, "{}: is no regular file", path);
  return file;
}

}  // namespace weft
