#include "launch/host/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>

namespace weft {

void hold_standard_streams() {
  // The lowest free number is taken. What is to be written is opened for reading, so that writing
  // stays the error that it is.
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    if (open("/dev/null", O_RDONLY) < 0) return;
  }
}

std::optional<std::string> finish_output() {
  std::cout.flush();
  if (std::fflush(stdout) != 0) return std::strerror(errno);
  // The reason went by unseen, when a part was written.
  if (std::ferror(stdout) != 0 || std::cout.bad()) return "a part is lost; is a disk full?";
  return std::nullopt;
}

}  // namespace weft
