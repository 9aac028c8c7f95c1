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

  // What this lock does not keep out; empty where it keeps out every run. File systems without
  // flock leave a lock among the processes of this host.
  const std::string& notice() const { return notice_; }

  // Before each change to the directory: whether the lock file is still the one that is locked.
  // When it is gone, it is made and locked again; a line that says so, else "". Throws
  // Error{environment} when another one is in its place, as another run may have locked that.
  std::string confirm() const;

 private:
  int take() const;
  void sign() const;

  std::string directory_;
  std::string path_;
  std::string notice_;
  mutable FileDescriptor file_;  // the lock stays the same where it has to be taken again
  FileDescriptor host_lock_;     // where the file system has none
};

}  // namespace weft
