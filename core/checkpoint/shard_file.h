// One rank's shard file: laying it out, filling it, and comparing it to the manifest
// (docs/checkpoint_format.md, sections 2 and 4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/base/digest.h"
#include "core/checkpoint/file_image.h"
#include "core/checkpoint/files.h"
#include "core/checkpoint/manifest.h"

namespace weft {

// An HDF5 file with the datasets of manifest.tensors, all of which lie in it, short of their data;
// sets the `at` of each box. `path` is for messages: nothing is written to a disk.
FileImage lay_out_shard_file(Manifest& manifest, int rank, const std::string& path);

// The digest of the bytes that are outside `extents` (ascending, disjoint, within it) of a file of
// so many bytes. `read` fills `out` with what is there from byte `at` on.
using ReadAt = std::function<void(int64_t at, std::span<std::byte> out)>;
Digest metadata_digest(const ReadAt& read, int64_t bytes, const std::vector<Extent>& extents);

// Throws Error{input} naming `path` when file `index` of the manifest has another size or other
// metadata.
void check_shard_file(const Manifest& manifest, int index, const FileDescriptor& file,
                      const std::string& path);

// Where libhdf5 sees the file otherwise than the manifest: a line for each difference. To be called
// on files whose metadata digest holds.
std::vector<std::string> structure_faults(const Manifest& manifest, int index,
                                          const FileDescriptor& file, const std::string& path);

}  // namespace weft
