// A directory that appears complete or not at all: filled beside its place, flushed to the disk,
// then renamed.
#pragma once

#include <string>
#include <vector>

namespace weft {

class StagingDirectory {
 public:
  // Creates OUTPUT.tmp-PID beside `output`, and the directories above it where they are missing.
  // Throws Error{environment} where that fails.
  explicit StagingDirectory(const std::string& output);
  StagingDirectory(const StagingDirectory&) = delete;
  StagingDirectory& operator=(const StagingDirectory&) = delete;
  // Without publish(), removes everything that was created.
  ~StagingDirectory();

  const std::string& path() const { return staging_; }

  // Creates the subdirectory and returns its path.
  std::string subdirectory(const std::string& name) const;

  // Flushes all files and renames the directory to `output`. What stands there is exchanged in one
  // step and then removed; where the file system cannot exchange, it is first renamed out of the
  // way. Throws Error{environment}, or {io} where the disk fails; `output` is then as it was.
  // Returns a line about what of the old content could not be removed, or "".
  std::string publish();

 private:
  void remove_created();

  std::string output_;
  std::string staging_;
  std::vector<std::string> created_;  // directories, outermost first; those that are empty go
  bool published_ = false;
};

}  // namespace weft
