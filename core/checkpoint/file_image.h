// FileImage: what libhdf5 writes of a file, in memory. Every byte that reaches the disk is then
// written by the FileWriter, whose errors are ours: libhdf5 keeps a file whose closing failed and
// crashes over it when the program ends.
//
//   FileImage image;
//   {
//     const h5::Id driver = image_driver(), access = ...;
//     use_image(access, driver, image);
//     ... H5Fcreate, ..., H5Fclose
//   }
//   write_image(image, file, path, writer);
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "core/checkpoint/files.h"
#include "core/checkpoint/h5.h"

namespace weft {

// Holds the pages that were written to and no others: the structures of a shard file are small
// beside the data, whose place stays empty.
class FileImage {
 public:
  static constexpr int64_t kPageBytes = 4096;
  using Page = std::array<std::byte, kPageBytes>;

  int64_t bytes() const { return bytes_; }
  const std::map<int64_t, std::unique_ptr<Page>>& pages() const { return pages_; }  // by number

  void resize(int64_t bytes) { bytes_ = bytes; }
  void write(int64_t at, std::span<const std::byte> data);
  void read(int64_t at, std::span<std::byte> out) const;  // zeros where nothing was written

 private:
  int64_t bytes_ = 0;
  std::map<int64_t, std::unique_ptr<Page>> pages_;
};

// A driver of libhdf5 that keeps files in images. To be held, within a Session, for as long as a
// file is open with it.
h5::Id image_driver();

// Has files that are created with the properties `access` put into `image`, which outlives them.
void use_image(hid_t access, hid_t driver, FileImage& image);

// Gives the empty file the image's size and content.
void write_image(const FileImage& image, const FileDescriptor& file, const std::string& path,
                 FileWriter& writer);

}  // namespace weft
