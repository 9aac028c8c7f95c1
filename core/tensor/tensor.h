// Tensor: a shaped, typed window on device memory. It owns nothing, knows no gradient, no graph and
// no rank; copying it copies the window. Elements are contiguous, outermost dim first.
//
// A window on a counting arena has shape and type but no memory: raw() is null (see arena.h).
#pragma once

#include <string>

#include "core/base/dtype.h"
#include "core/base/shape.h"

namespace weft {

class Tensor {
 public:
  Tensor() = default;
  Tensor(void* data, Shape shape, DType dtype) : data_(data), shape_(shape), dtype_(dtype) {}

  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  int64_t elements() const { return shape_.elements(); }
  size_t bytes() const { return static_cast<size_t>(elements()) * size_of(dtype_); }
  bool empty() const { return shape_.rank() == 0 && data_ == nullptr; }  // default constructed
  void* raw() const { return data_; }

  // The elements as T; a WEFT_CHECK fails if T is not the tensor's type.
  template <typename T>
  T* data() const {
    if (dtype_of<T> != dtype_) [[unlikely]]
      read_as(dtype_of<T>);
    return static_cast<T*>(data_);
  }

  // The same elements in another shape of equal size.
  Tensor view(const Shape& shape) const;
  // Rows [begin, end) along the outermost dim.
  Tensor slice(int64_t begin, int64_t end) const;

 private:
  [[noreturn]] void read_as(DType other) const;  // fails the check of data()

  void* data_ = nullptr;
  Shape shape_;
  DType dtype_ = DType::f32;
};

std::string to_string(const Tensor&);  // "f32[4, 64, 768]"

}  // namespace weft
