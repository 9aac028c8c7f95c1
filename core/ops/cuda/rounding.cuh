// How optimizers round what they store at random.
#pragma once

#include <type_traits>

#include "core/kernels/adamw.h"
#include "core/kernels/random_words.h"
#include "core/ops/element_map.h"

namespace weft::cuda {

// Elements from `begin` on of a call, rounded with the words of their numbers in the whole tensor.
struct ByNumber {
  RandomKey keys[kernels::kRoundedTensors];
  ElementMap elements;
  int64_t begin;

  template <typename S>
  WEFT_KERNEL S round(float x, kernels::RoundedTensor tensor, int64_t i) const {
    if constexpr (std::is_same_v<S, Bf16>) {
      return kernels::store_stochastic(x,
                                       kernels::word_at(keys[tensor], elements.number(begin + i)));
    } else {
      return kernels::store<S>(x);
    }
  }
};

}  // namespace weft::cuda
