#include "core/tensor/arena.h"

#include <algorithm>

namespace weft {

Arena::Arena(std::string name) : name_(std::move(name)), counting_(true) {}

Arena::Arena(std::string name, Device& device, size_t capacity)
    : Arena(std::move(name), device.allocate(capacity)) {}

Arena::Arena(std::string name, std::unique_ptr<Buffer> memory)
    : name_(std::move(name)),
      counting_(false),
      buffer_(std::move(memory)),
      capacity_(buffer_->bytes()) {}

Tensor Arena::allocate(const Shape& shape, DType dtype) {
  const size_t begin = used_;
  used_ += taken(shape.elements(), dtype);
  peak_ = std::max(peak_, used_);
  if (counting_) return Tensor(nullptr, shape, dtype);
  WEFT_CHECK(used_ <= capacity_, "arena '{}' holds {} bytes but {} were asked for", name_,
             capacity_, used_);
  return Tensor(static_cast<char*>(buffer_->data()) + begin, shape, dtype);
}

void Arena::release(size_t mark) {
  if (mark > used_) {
    detail::check_failed(__FILE__, __LINE__, "mark <= used_", "arena '" + name_ + "' misused");
  }
  used_ = mark;
}

void Arena::restore(size_t mark) {
  WEFT_CHECK(mark <= peak_, "arena '{}' never had {} bytes in use", name_, mark);
  used_ = mark;
}

}  // namespace weft
