// Lists of tensors that one launch works on. They are kernel arguments and hence few; blocks of
// threads are shared out in order: tensor i has those from its `first_block` on.
//
//   struct List { int count; Tensor tensors[kMost]; };  // Tensor has n, its elements, and
//   first_block
#pragma once

#include "core/ops/cuda/device_rows.cuh"

namespace weft::cuda {

// Which tensor a block of threads works on: the last one whose first block is not behind it.
template <typename Args>
__device__ inline int tensor_of(const Args& a, unsigned block) {
  int low = 0, high = a.count - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (a.tensors[middle].first_block <= block) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

// Shares blocks of threads out, one for `elements_of_block` elements each; returns how many.
template <typename Args>
unsigned share_out_blocks(Args& a, int64_t elements_of_block) {
  int64_t blocks = 0;
  for (int i = 0; i < a.count; ++i) {
    a.tensors[i].first_block = static_cast<unsigned>(blocks);
    blocks += (a.tensors[i].n + elements_of_block - 1) / elements_of_block;
  }
  return blocks_for(blocks);
}

}  // namespace weft::cuda
