#include "core/tensor/tensor.h"

#include "core/base/error.h"

namespace weft {

void Tensor::read_as(DType other) const {
  detail::check_failed(__FILE__, __LINE__, "dtype_of<T> == dtype_",
                       fmt::format("tensor of {} read as {}", name(dtype_), name(other)));
}

Tensor Tensor::view(const Shape& shape) const {
  WEFT_CHECK(shape.elements() == elements(), "cannot view {} as {}", to_string(*this),
             weft::to_string(shape));
  return Tensor(data_, shape, dtype_);
}

Tensor Tensor::slice(int64_t begin, int64_t end) const {
  WEFT_CHECK(shape_.rank() >= 1 && 0 <= begin && begin <= end && end <= shape_[0],
             "rows [{}, {}) are not in {}", begin, end, to_string(*this));
  Shape shape = shape_;
  shape[0] = end - begin;
  const int64_t row = shape_[0] == 0 ? 0 : elements() / shape_[0];
  void* data = data_ == nullptr
                   ? nullptr
                   : static_cast<char*>(data_) + static_cast<size_t>(begin * row) * size_of(dtype_);
  return Tensor(data, shape, dtype_);
}

std::string to_string(const Tensor& t) {
  return fmt::format("{}{}", name(t.dtype()), to_string(t.shape()));
}

}  // namespace weft
