// Datasets as digested blocks: writing them, and reading them back with proof
// (docs/checkpoint_format.md, section 4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/checkpoint/files.h"
#include "core/checkpoint/manifest.h"

namespace weft {

// Writes a box's dataset at `stored.at` and sets its digests, each taken from memory before the
// write of its bytes.
void write_blocks(StoredBox& stored, std::span<const std::byte> data, const FileDescriptor& file,
                  const std::string& path, FileWriter& writer);

// Reads pieces of one dataset, comparing every block to its digest before a byte of it is given
// out. Holds at most one block. References outlive it.
class BlockReader {
 public:
  BlockReader(const FileDescriptor& file, const StoredTensor& tensor, const StoredBox& stored,
              const std::string& path);

  // Bytes [first, first + out.size()) of the dataset. Pieces in ascending order read each block
  // once. Throws Error{input} naming file, dataset and block.
  void read(int64_t first, std::span<std::byte> out);

 private:
  void load(int64_t block, std::span<std::byte> out);
  int64_t block_bytes(int64_t block) const;

  const FileDescriptor& file_;
  const StoredTensor& tensor_;
  const StoredBox& stored_;
  const std::string path_;
  const int64_t bytes_;
  int64_t held_ = -1;  // the block in buffer_
  std::vector<std::byte> buffer_;
};

}  // namespace weft
