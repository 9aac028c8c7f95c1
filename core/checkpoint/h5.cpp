#include "core/checkpoint/h5.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "core/base/error.h"

namespace weft::h5 {
namespace {

static_assert(std::endian::native == std::endian::little,
              "shard files are little-endian and are written without conversion");

// libhdf5 keeps state of its own for the whole process, and so must what guards it.
std::mutex& library_mutex() {
  static std::mutex mutex;
  return mutex;
}

herr_t keep_innermost(unsigned n, const H5E_error2_t* entry, void* text) {
  if (n == 0 && entry->desc != nullptr) *static_cast<std::string*>(text) = entry->desc;
  return 0;
}

// A float of two bytes with so many bits of exponent, as IEEE and h5py understand it.
Id small_float(size_t exponent_bits, size_t bias) {
  Id type(H5Tcopy(H5T_IEEE_F32LE), "copy an HDF5 type");
  const size_t mantissa_bits = 15 - exponent_bits;
  check(H5Tset_fields(type, 15, mantissa_bits, exponent_bits, 0, mantissa_bits),
        "define a float of two bytes");
  check(H5Tset_size(type, 2), "define a float of two bytes");
  check(H5Tset_ebias(type, bias), "define a float of two bytes");
  return type;
}

Id text_type(size_t size) {
  Id type(H5Tcopy(H5T_C_S1), "copy an HDF5 type");
  check(H5Tset_size(type, std::max<size_t>(size, 1)), "size an HDF5 string type");
  return type;
}

void put(hid_t object, const char* name, hid_t type, hid_t space, const void* data) {
  const std::string what = std::string("write the HDF5 attribute ") + name;
  const Id attribute(H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT), what);
  check(H5Awrite(attribute, type, data), what);
}

Id vector_space(int64_t count) {
  const auto dims = static_cast<hsize_t>(count);
  return {H5Screate_simple(1, &dims, nullptr), "create an HDF5 dataspace"};
}

// Reads an attribute into `out` when its type and number of dims (and so its size) are as expected.
bool read_exactly(hid_t object, const char* name, hid_t type, hid_t space, void* out) {
  if (H5Aexists(object, name) <= 0) return false;
  const Id attribute(H5Aopen(object, name, H5P_DEFAULT), std::string("open attribute ") + name);
  const Id stored_type(H5Aget_type(attribute), "read an attribute's type");
  const Id stored_space(H5Aget_space(attribute), "read an attribute's dataspace");
  return H5Tequal(stored_type, type) > 0 && H5Sextent_equal(stored_space, space) > 0 &&
         H5Aread(attribute, type, out) >= 0;
}

}  // namespace

Session::Session() : lock_(library_mutex()) {
  H5Eget_auto2(H5E_DEFAULT, &print_, &print_data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Session::~Session() { H5Eset_auto2(H5E_DEFAULT, print_, print_data_); }

std::string last_error() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_innermost, &text);
  return text.empty() ? "libhdf5 gives no reason" : text;
}

Id::Id(hid_t id, const std::string& what) : id_(id) {
  if (id < 0) fail(ErrorKind::io, "cannot {}: {}", what, last_error());
}

Id::~Id() {
  if (id_ >= 0 && H5Iis_valid(id_) > 0) H5Idec_ref(id_);
}

void check(herr_t status, const std::string& what) {
  if (status < 0) fail(ErrorKind::io, "cannot {}: {}", what, last_error());
}

Id file_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return {H5Tcopy(H5T_IEEE_F32LE), "copy an HDF5 type"};
    case DType::f64:
      return {H5Tcopy(H5T_IEEE_F64LE), "copy an HDF5 type"};
    case DType::bf16:
      return small_float(8, 127);
    case DType::f16:
      return small_float(5, 15);
    case DType::i32:
      return {H5Tcopy(H5T_STD_I32LE), "copy an HDF5 type"};
    case DType::i64:
      return {H5Tcopy(H5T_STD_I64LE), "copy an HDF5 type"};
    case DType::u8:
      return {H5Tcopy(H5T_STD_U8LE), "copy an HDF5 type"};
    case DType::u16:
      return {H5Tcopy(H5T_STD_U16LE), "copy an HDF5 type"};
  }
  fail(ErrorKind::internal, "no HDF5 type for {}", weft::name(dtype));
}

Id simple_space(const Shape& shape) {
  if (shape.rank() == 0) return {H5Screate(H5S_SCALAR), "create an HDF5 dataspace"};
  std::array<hsize_t, Shape::kMaxRank> dims{};
  std::copy(shape.begin(), shape.end(), dims.begin());
  return {H5Screate_simple(shape.rank(), dims.data(), nullptr), "create an HDF5 dataspace"};
}

void put_attribute(hid_t object, const char* name, int64_t value) {
  put(object, name, H5T_STD_I64LE, Id(H5Screate(H5S_SCALAR), "create an HDF5 dataspace"), &value);
}

void put_attribute(hid_t object, const char* name, const Shape& value) {
  put(object, name, H5T_STD_I64LE, vector_space(value.rank()), value.begin());
}

void put_attribute(hid_t object, const char* name, std::string_view value) {
  put(object, name, text_type(value.size()), Id(H5Screate(H5S_SCALAR), "create an HDF5 dataspace"),
      value.data());
}

bool attribute_is(hid_t object, const char* name, int64_t value) {
  int64_t stored = 0;
  const Id space(H5Screate(H5S_SCALAR), "create an HDF5 dataspace");
  return read_exactly(object, name, H5T_STD_I64LE, space, &stored) && stored == value;
}

bool attribute_is(hid_t object, const char* name, const Shape& value) {
  std::array<int64_t, Shape::kMaxRank> stored{};
  return read_exactly(object, name, H5T_STD_I64LE, vector_space(value.rank()), stored.data()) &&
         std::equal(value.begin(), value.end(), stored.begin());
}

bool attribute_is(hid_t object, const char* name, std::string_view value) {
  std::string stored(std::max<size_t>(value.size(), 1), '\0');
  const Id space(H5Screate(H5S_SCALAR), "create an HDF5 dataspace");
  return read_exactly(object, name, text_type(value.size()), space, stored.data()) &&
         stored == value;
}

}  // namespace weft::h5
