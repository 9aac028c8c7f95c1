#include "core/ops/element_map.h"

#include "core/base/error.h"

namespace weft {

void expect_elements(const OpName& op, const ElementMap& elements) {
  WEFT_CHECK(elements.first >= 0 && elements.columns >= 1 && elements.stride >= elements.columns,
             "{}: rows of {} elements, {} apart, from {}", op.text, elements.columns,
             elements.stride, elements.first);
}

}  // namespace weft
