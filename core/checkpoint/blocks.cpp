#include "core/checkpoint/blocks.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"

namespace weft {
namespace {

// What is digested and written in one go: it comes from memory once and from a cache after that.
constexpr int64_t kPieceBytes = int64_t{1} << 20;

}  // namespace

void write_blocks(StoredBox& stored, std::span<const std::byte> data, const FileDescriptor& file,
                  const std::string& path, FileWriter& writer) {
  const auto bytes = static_cast<int64_t>(data.size());
  DigestStream all;
  stored.blocks.clear();
  for (int64_t first = 0; first < bytes; first += kBlockBytes) {
    const int64_t end = std::min(first + kBlockBytes, bytes);
    DigestStream block;
    for (int64_t at = first; at < end; at += kPieceBytes) {
      const auto piece = data.subspan(static_cast<size_t>(at),
                                      static_cast<size_t>(std::min(kPieceBytes, end - at)));
      block.add(piece);
      if (bytes > kBlockBytes) all.add(piece);
      writer.write_at(file, stored.at + at, piece, path);
    }
    stored.blocks.push_back(block.finish());
  }
  stored.digest = bytes > kBlockBytes ? all.finish() : stored.blocks.at(0);
}

BlockReader::BlockReader(const FileDescriptor& file, const StoredTensor& tensor,
                         const StoredBox& stored, const std::string& path)
    : file_(file),
      tensor_(tensor),
      stored_(stored),
      path_(path),
      bytes_(bytes_of(tensor, stored)) {}

int64_t BlockReader::block_bytes(int64_t block) const {
  return std::min(kBlockBytes, bytes_ - block * kBlockBytes);
}

void BlockReader::load(int64_t block, std::span<std::byte> out) {
  read_at(file_, stored_.at + block * kBlockBytes, out, path_);
  if (digest_of(out) != stored_.blocks[static_cast<size_t>(block)]) {
    fail(ErrorKind::input,
         "{}: dataset {}: block {} of {} (bytes [{}, {}) of the file) does not match its digest; "
         "the data is damaged",
         path_, dataset_path(tensor_, stored_), block, stored_.blocks.size(),
         stored_.at + block * kBlockBytes,
         stored_.at + block * kBlockBytes + static_cast<int64_t>(out.size()));
  }
}

void BlockReader::read(int64_t first, std::span<std::byte> out) {
  while (!out.empty()) {
    const int64_t block = first / kBlockBytes;
    const int64_t within = first % kBlockBytes;
    const auto size = static_cast<size_t>(block_bytes(block));
    if (within == 0 && out.size() >= size && block != held_) {
      load(block, out.first(size));  // the whole block is wanted: no copy
      first += static_cast<int64_t>(size);
      out = out.subspan(size);
      continue;
    }
    if (block != held_) {
      held_ = -1;
      buffer_.resize(size);
      load(block, buffer_);
      held_ = block;
    }
    const size_t count = std::min(out.size(), size - static_cast<size_t>(within));
    std::memcpy(out.data(), buffer_.data() + within, count);
    first += static_cast<int64_t>(count);
    out = out.subspan(count);
  }
}

}  // namespace weft
