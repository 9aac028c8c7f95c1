#include "core/ops/copy.h"

#include "core/base/error.h"

namespace weft {

void op::CopyLastColumns::check() const {
  WEFT_CHECK(from.shape().rank() >= 1 && to.shape().rank() >= 1 &&
                 from.shape().rows() == to.shape().rows() && from.dtype() == to.dtype(),
             "copy_last_columns: {} to {}", to_string(from), to_string(to));
}

}  // namespace weft
