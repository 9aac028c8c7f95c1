// What two checkpoints have in common, tensor by tensor.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.h"

namespace weft {

// A tensor that is not the same in both.
struct TensorDifference {
  std::string name;
  std::string kind;
  std::string structure;  // why values cannot be compared: "only in A", other shapes; or empty
  int64_t elements = 0;
  int64_t different = 0;      // elements whose bits differ
  double max_difference = 0;  // largest |a - b|; infinite where that is no finite number
};

struct TensorComparison {
  int64_t tensors = 0;                        // looked at, those of only one checkpoint included
  std::vector<TensorDifference> differences;  // by name, then kind
};

// Compares all tensors of two checkpoints whatever their boxes, or only those of `kind` unless it
// is empty. Values are read in pieces, so memory does not depend on the tensors' sizes. `a_name`
// and `b_name` are for `structure`. Throws Error{input} when a block of either is damaged.
TensorComparison compare_tensors(const CheckpointReader& a, const std::string& a_name,
                                 const CheckpointReader& b, const std::string& b_name,
                                 const std::string& kind = {});

}  // namespace weft
