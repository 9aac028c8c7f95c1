// One checkpoint directory as a whole: its manifest, and what else lies in it.
#pragma once

#include <string>
#include <vector>

#include "core/checkpoint/files.h"
#include "core/checkpoint/manifest.h"

namespace weft {

// Opens a step_N directory and reads its manifest. Throws Error{input} naming the damage, or the
// two steps when the directory is called after another one than it holds.
struct OpenedCheckpoint {
  std::string path;
  FileDescriptor directory;
  Manifest manifest;
  Digest manifest_digest;
};
OpenedCheckpoint open_checkpoint(const std::string& path);

// What is wrong with the files of a checkpoint short of its data blocks: files missing, additional,
// of other size or with other metadata, attached files that do not match. Empty when nothing is.
// Throws Error when a file cannot be read, which is no damage yet.
std::vector<std::string> contents_faults(const OpenedCheckpoint& checkpoint);

}  // namespace weft
