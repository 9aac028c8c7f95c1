// One rank's shard file: laying it out, filling it, and comparing it to the manifest
// (docs/checkpoint_format.md, sections 2 and 4).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/digest.h"
#include "core/checkpoint/files.h"
#include "core/checkpoint/manifest.h"

namespace weft {

// Creates the HDF5 file `path` with the datasets of manifest.tensors, all of which lie in it, and
// sets the `at` of each box. No data is written. Throws Error{io}.
void lay_out_shard_file(Manifest& manifest, int rank, const std::string& path, FileWriter& writer);

// The digest of the bytes of the file that are outside `extents` (ascending, disjoint, within it).
Digest metadata_digest(const FileDescriptor& file, int64_t bytes,
                       const std::vector<Extent>& extents, const std::string& path);

// Throws Error{input} naming `path` when file `index` of the manifest has another size or other
// metadata.
void check_shard_file(const Manifest& manifest, int index, const FileDescriptor& file,
                      const std::string& path);

// Where libhdf5 sees the file otherwise than the manifest: a line for each difference. To be called
// on files whose metadata digest holds.
std::vector<std::string> structure_faults(const Manifest& manifest, int index,
                                          const FileDescriptor& file, const std::string& path);

}  // namespace weft
