#include "core/checkpoint/shard_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/checkpoint/h5.h"

namespace weft {
namespace {

constexpr hsize_t kAlignFrom = 64 << 10;  // datasets from this size on begin at a page
constexpr hsize_t kPage = 4096;
constexpr int64_t kReadBytes = int64_t{1} << 20;

h5::Id file_access() {
  h5::Id list(H5Pcreate(H5P_FILE_ACCESS), "create HDF5 properties");
  h5::check(H5Pset_libver_bounds(list, H5F_LIBVER_V110, H5F_LIBVER_V110), "bound the HDF5 version");
  h5::check(H5Pset_alignment(list, kAlignFrom, kPage), "align HDF5 datasets");
  h5::check(H5Pset_file_locking(list, false, true), "turn HDF5 file locks off");
  return list;
}

h5::Id dataset_creation() {
  h5::Id list(H5Pcreate(H5P_DATASET_CREATE), "create HDF5 properties");
  h5::check(H5Pset_layout(list, H5D_CONTIGUOUS), "ask for a contiguous dataset");
  h5::check(H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY), "ask for early allocation");
  h5::check(H5Pset_fill_time(list, H5D_FILL_TIME_NEVER), "ask for no fill value");
  h5::check(H5Pset_obj_track_times(list, false), "turn HDF5 time stamps off");
  return list;
}

// The group `name` of `parent`, made when it is not there.
h5::Id group_in(hid_t parent, const std::string& name) {
  if (H5Lexists(parent, name.c_str(), H5P_DEFAULT) > 0) {
    return {H5Gopen2(parent, name.c_str(), H5P_DEFAULT), "open group " + name};
  }
  h5::Id list(H5Pcreate(H5P_GROUP_CREATE), "create HDF5 properties");
  h5::check(H5Pset_obj_track_times(list, false), "turn HDF5 time stamps off");
  return {H5Gcreate2(parent, name.c_str(), H5P_DEFAULT, list, H5P_DEFAULT), "create group " + name};
}

void lay_out_dataset(hid_t file, const StoredTensor& tensor, StoredBox& box) {
  const std::string path = dataset_path(tensor, box);
  const h5::Id group = group_in(group_in(group_in(file, "tensors"), tensor.name), tensor.kind);
  const h5::Id dataset(
      H5Dcreate2(group, fmt::format("box_{}", box.k).c_str(), h5::file_type(tensor.dtype),
                 h5::simple_space(box.box.extent), H5P_DEFAULT, dataset_creation(), H5P_DEFAULT),
      "create dataset " + path);
  h5::put_attribute(dataset, "dtype", name(tensor.dtype));
  h5::put_attribute(dataset, "global_shape", tensor.shape);
  h5::put_attribute(dataset, "offset", box.box.offset);
  const haddr_t at = H5Dget_offset(dataset);
  if (at == HADDR_UNDEF) fail(ErrorKind::io, "cannot place dataset {}: {}", path, h5::last_error());
  box.at = static_cast<int64_t>(at);
}

// The number of an intact shard file's rank, from its legal name.
int64_t rank_of(const StoredFile& file) {
  return std::stoll(file.name.substr(5, file.name.size() - 8));
}

// Whether each step of the path is a hard link, so that it leads nowhere but into this file.
bool linked_hard(hid_t file, const std::string& path) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    H5L_info_t info;
    const std::string part = path.substr(0, end);
    if (H5Lget_info(file, part.c_str(), &info, H5P_DEFAULT) < 0) return false;
    if (info.type != H5L_TYPE_HARD) return false;
    if (end == std::string::npos) return true;
  }
}

std::vector<std::string> dataset_faults(hid_t file, const StoredTensor& tensor,
                                        const StoredBox& box) {
  const std::string path = dataset_path(tensor, box);
  if (!linked_hard(file, path)) return {path + " is missing or is a link"};
  const h5::Id dataset(H5Dopen2(file, path.c_str(), H5P_DEFAULT), "open dataset " + path);
  const h5::Id type(H5Dget_type(dataset), "read the type of " + path);
  const h5::Id space(H5Dget_space(dataset), "read the dataspace of " + path);
  const h5::Id creation(H5Dget_create_plist(dataset), "read the properties of " + path);

  std::vector<std::string> faults;
  const auto expect = [&](bool holds, const std::string& what) {
    if (!holds) faults.push_back(path + ": " + what);
  };
  expect(H5Tequal(type, h5::file_type(tensor.dtype)) > 0,
         fmt::format("its type is not {}", name(tensor.dtype)));
  expect(H5Sextent_equal(space, h5::simple_space(box.box.extent)) > 0,
         "its shape is not " + to_string(box.box.extent));
  expect(H5Pget_layout(creation) == H5D_CONTIGUOUS, "it is not contiguous");
  expect(H5Pget_external_count(creation) == 0, "its data lies in another file");
  expect(H5Pget_nfilters(creation) == 0, "it has filters");
  expect(H5Dget_offset(dataset) == static_cast<haddr_t>(box.at),
         fmt::format("its data does not begin at byte {}", box.at));
  expect(h5::attribute_is(dataset, "dtype", name(tensor.dtype)), "attribute dtype differs");
  expect(h5::attribute_is(dataset, "global_shape", tensor.shape), "attribute global_shape differs");
  expect(h5::attribute_is(dataset, "offset", box.box.offset), "attribute offset differs");
  return faults;
}

herr_t count_dataset(hid_t, const char*, const H5O_info_t* info, void* count) {
  if (info->type == H5O_TYPE_DATASET) ++*static_cast<int64_t*>(count);
  return 0;
}

}  // namespace

FileImage lay_out_shard_file(Manifest& manifest, int rank, const std::string& path) {
  const h5::Session session;
  FileImage image;
  const h5::Id driver = image_driver();
  const h5::Id access = file_access();
  use_image(access, driver, image);
  const h5::Id creation(H5Pcreate(H5P_FILE_CREATE), "create HDF5 properties");
  h5::check(H5Pset_obj_track_times(creation, false), "turn HDF5 time stamps off");
  h5::Id file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation, access), "lay out " + path);
  h5::put_attribute(file, "weft_schema", int64_t{kCheckpointSchema});
  h5::put_attribute(file, "step", manifest.step);
  h5::put_attribute(file, "rank", int64_t{rank});
  for (StoredTensor& tensor : manifest.tensors) {
    for (StoredBox& box : tensor.boxes) lay_out_dataset(file, tensor, box);
  }
  h5::check(H5Fclose(file.release()), "lay out " + path);
  return image;
}

Digest metadata_digest(const ReadAt& read, int64_t bytes, const std::vector<Extent>& extents) {
  DigestStream stream;
  std::vector<std::byte> buffer;
  int64_t at = 0;
  const auto add_until = [&](int64_t end) {
    while (at < end) {
      buffer.resize(static_cast<size_t>(std::min(end - at, kReadBytes)));
      read(at, buffer);
      stream.add(buffer);
      at += static_cast<int64_t>(buffer.size());
    }
  };
  for (const Extent& extent : extents) {
    add_until(extent.at);
    at = extent.at + extent.bytes;
  }
  add_until(bytes);
  return stream.finish();
}

void check_shard_file(const Manifest& manifest, int index, const FileDescriptor& file,
                      const std::string& path) {
  const StoredFile& stored = manifest.files[static_cast<size_t>(index)];
  const int64_t bytes = file_size(file, path);
  if (bytes != stored.bytes) {
    fail(ErrorKind::input, "{} has {} bytes, the manifest says {}", path, bytes, stored.bytes);
  }
  const auto read = [&](int64_t at, std::span<std::byte> out) { read_at(file, at, out, path); };
  if (metadata_digest(read, bytes, extents_of_file(manifest, index)) != stored.digest) {
    fail(ErrorKind::input,
         "{}: the bytes outside its datasets (HDF5 structures, attributes, padding) do not match "
         "their digest; the file is damaged or belongs to another checkpoint",
         path);
  }
}

std::vector<std::string> structure_faults(const Manifest& manifest, int index,
                                          const FileDescriptor& file, const std::string& path) {
  const h5::Session session;
  std::vector<std::string> faults;
  int64_t expected = 0, present = 0;
  try {
    // By descriptor, so that what is opened is the very file that was checked.
    const std::string opened = fmt::format("/proc/self/fd/{}", file.get());
    const h5::Id root(H5Fopen(opened.c_str(), H5F_ACC_RDONLY, file_access()), "open " + path);
    const int64_t rank = rank_of(manifest.files[static_cast<size_t>(index)]);
    if (!h5::attribute_is(root, "weft_schema", int64_t{kCheckpointSchema}) ||
        !h5::attribute_is(root, "step", manifest.step) || !h5::attribute_is(root, "rank", rank)) {
      faults.push_back("the file's attributes differ from the manifest's schema, step or rank");
    }
    for (const StoredTensor& tensor : manifest.tensors) {
      for (const StoredBox& box : tensor.boxes) {
        if (box.file != index) continue;
        ++expected;
        for (std::string& fault : dataset_faults(root, tensor, box)) faults.push_back(fault);
      }
    }
    h5::check(
        H5Ovisit2(root, H5_INDEX_NAME, H5_ITER_NATIVE, count_dataset, &present, H5O_INFO_BASIC),
        "list the datasets of " + path);
  } catch (const Error& error) {
    faults.push_back(error.what());
  }
  if (faults.empty() && present != expected) {
    faults.push_back(fmt::format("{} datasets, the manifest lists {}", present, expected));
  }
  for (std::string& fault : faults) fault = path + ": " + fault;
  return faults;
}

}  // namespace weft
