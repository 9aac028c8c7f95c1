#include "core/checkpoint/file_image.h"

#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

#include <algorithm>
#include <cstring>
#include <iterator>
#include <limits>
#include <new>
#include <vector>

namespace weft {
namespace {

// A file that libhdf5 has open. libhdf5 fills in the first member, and knows no more of it.
struct OpenImage {
  H5FD_t base{};
  FileImage* image = nullptr;
  haddr_t allocated = 0;
};

OpenImage& open_image(H5FD_t* file) { return *reinterpret_cast<OpenImage*>(file); }
const OpenImage& open_image(const H5FD_t* file) {
  return *reinterpret_cast<const OpenImage*>(file);
}

constexpr auto kLargestAddress = static_cast<haddr_t>(std::numeric_limits<int64_t>::max());

H5FD_t* open_file(const char*, unsigned, hid_t access, haddr_t) {
  FileImage* const* image = static_cast<FileImage* const*>(H5Pget_driver_info(access));
  if (image == nullptr) return nullptr;
  auto* file = new (std::nothrow) OpenImage;
  if (file == nullptr) return nullptr;
  file->image = *image;
  return &file->base;
}

herr_t close_file(H5FD_t* file) {
  delete &open_image(file);
  return 0;
}

// As the driver for plain files has them, so that the same structures lie at the same places.
herr_t query(const H5FD_t*, unsigned long* flags) {
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
           H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
  return 0;
}

haddr_t allocated(const H5FD_t* file, H5FD_mem_t) { return open_image(file).allocated; }

herr_t set_allocated(H5FD_t* file, H5FD_mem_t, haddr_t end) {
  open_image(file).allocated = end;
  return 0;
}

haddr_t end_of_file(const H5FD_t* file, H5FD_mem_t) {
  return static_cast<haddr_t>(open_image(file).image->bytes());
}

herr_t read_file(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t at, size_t size, void* out) {
  open_image(file).image->read(static_cast<int64_t>(at), {static_cast<std::byte*>(out), size});
  return 0;
}

// Nothing may be thrown through libhdf5.
herr_t write_file(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t at, size_t size, const void* data) {
  FileImage& image = *open_image(file).image;
  try {
    image.write(static_cast<int64_t>(at), {static_cast<const std::byte*>(data), size});
  } catch (const std::bad_alloc&) {
    return -1;
  }
  image.resize(std::max(image.bytes(), static_cast<int64_t>(at + size)));
  return 0;
}

herr_t truncate_file(H5FD_t* file, hid_t, hbool_t) {
  OpenImage& open = open_image(file);
  open.image->resize(static_cast<int64_t>(open.allocated));
  return 0;
}

H5FD_class_t driver_class() {
  H5FD_class_t c{};
#if H5_VERSION_GE(1, 13, 0)
  c.version = H5FD_CLASS_VERSION;
  c.value = H5_VFD_RESERVED;  // the first of those that libhdf5 itself does not use
#endif
  c.name = "weft_image";
  c.maxaddr = kLargestAddress;
  c.fc_degree = H5F_CLOSE_STRONG;
  c.fapl_size = sizeof(FileImage*);
  c.open = open_file;
  c.close = close_file;
  c.query = query;
  c.get_eoa = allocated;
  c.set_eoa = set_allocated;
  c.get_eof = end_of_file;
  c.read = read_file;
  c.write = write_file;
  c.truncate = truncate_file;
  constexpr H5FD_mem_t kFreeLists[] = H5FD_FLMAP_DICHOTOMY;
  std::copy(std::begin(kFreeLists), std::end(kFreeLists), std::begin(c.fl_map));
  return c;
}

// Calls `action(at, size)` for the parts of [at, at + size), each within one page.
template <typename Action>
void by_page(int64_t at, int64_t size, Action&& action) {
  for (int64_t done = 0; done < size;) {
    const int64_t within = (at + done) % FileImage::kPageBytes;
    const int64_t count = std::min(size - done, FileImage::kPageBytes - within);
    action((at + done) / FileImage::kPageBytes, within, done, count);
    done += count;
  }
}

}  // namespace

void FileImage::write(int64_t at, std::span<const std::byte> data) {
  by_page(at, static_cast<int64_t>(data.size()),
          [&](int64_t number, int64_t within, int64_t done, int64_t count) {
            std::unique_ptr<Page>& page = pages_[number];
            if (page == nullptr) page = std::make_unique<Page>();
            std::memcpy(page->data() + within, data.data() + done, static_cast<size_t>(count));
          });
}

void FileImage::read(int64_t at, std::span<std::byte> out) const {
  by_page(at, static_cast<int64_t>(out.size()),
          [&](int64_t number, int64_t within, int64_t done, int64_t count) {
            const auto page = pages_.find(number);
            if (page == pages_.end()) {
              std::memset(out.data() + done, 0, static_cast<size_t>(count));
            } else {
              std::memcpy(out.data() + done, page->second->data() + within,
                          static_cast<size_t>(count));
            }
          });
}

h5::Id image_driver() {
  // libhdf5 keeps a pointer to the class.
  static const H5FD_class_t driver = driver_class();
  return {H5FDregister(&driver), "register an HDF5 file driver"};
}

void use_image(hid_t access, hid_t driver, FileImage& image) {
  FileImage* const pointer = &image;
  h5::check(H5Pset_driver(access, driver, &pointer), "set the HDF5 file driver");
}

void write_image(const FileImage& image, const FileDescriptor& file, const std::string& path,
                 FileWriter& writer) {
  constexpr size_t kLargestWrite = size_t{1} << 20;
  writer.resize(file, image.bytes(), path);
  std::vector<std::byte> run;  // adjacent pages, from byte `begin` on
  int64_t begin = 0;
  const auto flush = [&] {
    const auto size = std::min(static_cast<int64_t>(run.size()), image.bytes() - begin);
    if (size > 0)
      writer.write_at(file, begin, std::span(run).first(static_cast<size_t>(size)), path);
    run.clear();
  };
  for (const auto& [number, page] : image.pages()) {
    const int64_t at = number * FileImage::kPageBytes;
    if (run.size() >= kLargestWrite || at != begin + static_cast<int64_t>(run.size())) flush();
    if (run.empty()) begin = at;
    run.insert(run.end(), page->begin(), page->end());
  }
  flush();
}

}  // namespace weft
