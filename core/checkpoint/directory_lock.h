// DirectoryLock: one run at a time writes checkpoints into a directory.
#pragma once

#include <string>

#include "core/checkpoint/files.h"

namespace weft {

// Held from construction to destruction. The kernel drops it with the process, however that ends,
// so there is nothing to clean up after a crash. A process made by fork shares it.
class DirectoryLock {
 public:
  // Creates `directory` and its parents when they are not there. Throws Error{environment} naming
  // the holder's pid and host when another run holds the lock, Error{io} when it cannot be taken.
  explicit DirectoryLock(const std::string& directory);

  const std::string& directory() const { return directory_; }

 private:
  std::string directory_;
  FileDescriptor file_;
};

}  // namespace weft
