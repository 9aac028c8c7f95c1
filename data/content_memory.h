// What reading a data file through has told, kept for later runs as long as the file stays as it
// was, so that a file of any size is read through once and not at every start.
//
// A file counts as the one that was read while its path, size, inode and both times (of the content
// and of the inode, to the nanosecond) are the same. Bits that decay on the disk change none of
// them: DataConfig::Verify::always reads everything again.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/file.h"
#include "data/token_file.h"

namespace weft {

// What a file holds, as far as its whole content must be read to know it.
struct FileContent {
  std::string digest;              // XXH3-128 of its bytes, hex
  LargestToken largest;            // of the ids in it, where it was read as ids
  std::vector<int64_t> documents;  // where they begin, where ids tell; the number of ids at the end
};

// One file for each path in a folder. Const methods may be called from several processes at once: a
// file appears whole or not at all, and one that is damaged counts as absent.
class ContentMemory {
 public:
  // `directory` is made when something is kept. A file that changed within the last
  // `settling_ns` is not kept, since another change might leave the same times.
  explicit ContentMemory(std::string directory, int64_t settling_ns = 50'000'000)
      : directory_(std::move(directory)), settling_ns_(settling_ns) {}

  // `kind` is how the file was read: another kind has other facts.
  std::optional<FileContent> find(const InputFile& file, std::string_view kind) const;

  // `stamp` is that of the file before it was read; nothing is kept where it has changed since.
  // Returns why it could not be kept, else "".
  std::string keep(const InputFile& file, std::string_view kind, const FileStamp& stamp,
                   const FileContent& content) const;

 private:
  std::string place(const InputFile& file, std::string_view kind) const;

  std::string directory_;
  int64_t settling_ns_;
};

}  // namespace weft
