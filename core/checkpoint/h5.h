// The little of libhdf5 that checkpoints need, with ownership and errors.
#pragma once

// The interface of HDF5 1.10, which later versions offer too.
#define H5_USE_110_API
#include <hdf5.h>

#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/dtype.h"
#include "core/base/shape.h"

namespace weft::h5 {

// One caller in the library at a time, which builds without thread safety need, and no printing of
// its error stack on this thread meanwhile. Every use of libhdf5 happens within one.
class Session {
 public:
  Session();
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

 private:
  std::unique_lock<std::mutex> lock_;
  H5E_auto2_t print_ = nullptr;
  void* print_data_ = nullptr;
};

// The innermost entry of libhdf5's error stack.
std::string last_error();

// Owns an HDF5 identifier of any type.
class Id {
 public:
  // Throws Error{io} "cannot WHAT: cause" when `id` is the library's sign of failure.
  Id(hid_t id, const std::string& what);
  Id(Id&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)) {}
  ~Id();
  operator hid_t() const { return id_; }

  // Gives the identifier up, to a caller who wants to know how closing it goes.
  hid_t release() { return std::exchange(id_, H5I_INVALID_HID); }

 private:
  hid_t id_;
};

// Throws Error{io} "cannot WHAT: cause" for a negative status.
void check(herr_t status, const std::string& what);

Id file_type(DType dtype);            // little-endian; bf16 and f16 as floats of two bytes
Id simple_space(const Shape& shape);  // a scalar space for rank 0

void put_attribute(hid_t object, const char* name, int64_t value);
void put_attribute(hid_t object, const char* name, const Shape& value);  // i64[rank]
void put_attribute(hid_t object, const char* name, std::string_view value);

// Whether the attribute is there and is exactly this. Never allocates what the file claims.
bool attribute_is(hid_t object, const char* name, int64_t value);
bool attribute_is(hid_t object, const char* name, const Shape& value);
bool attribute_is(hid_t object, const char* name, std::string_view value);

}  // namespace weft::h5
