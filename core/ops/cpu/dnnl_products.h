// DnnlProducts: products of a type that the BLAS of oneDNN does not take, by its matmul primitive,
// summed in f32, each slice of a product by one thread. Primitives are made once per shape and
// kept.
//
// Not for several threads at once: the calls of one object follow each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/base/dtype.h"
#include "core/device/device.h"

namespace weft::detail {

// op(a) is [m,k], op(b) is [k,n]: what lies in memory is [k,m] with transpose_a, [n,k] with
// transpose_b. Rows in memory are dense, but those of a lie a_stride elements apart and those of
// the product out_stride.
struct ProductShape {
  int64_t m = 0, n = 0, k = 0;
  int64_t a_stride = 0, out_stride = 0;
  bool transpose_a = false, transpose_b = false;
  bool accumulate = false;  // out += instead of out =
  auto operator<=>(const ProductShape&) const = default;
};

class DnnlProducts {
 public:
  // Operands of `operands`, f32 or bf16. Throws Error{environment} where oneDNN has no code of its
  // own for them on this CPU.
  explicit DnnlProducts(DType operands);
  ~DnnlProducts();

  // Whether the constructor would not throw.
  static bool serves(DType operands);
  // Whether this CPU multiplies bf16 faster than f32 for certain, which it does with tile registers
  // (AMX). The bf16 instruction of AVX-512 is the slower one on some CPUs that have it.
  static bool bf16_is_faster();

  DType operands() const;
  size_t kept() const;  // products

  // Working memory of a product in `threads` threads, 64-byte aligned.
  size_t scratchpad_bytes(const ProductShape& shape, int threads);
  // out [m,n] (f32) = or += op(a) op(b), with memory as the shape says.
  void run(const ProductShape& shape, const void* a, const void* b, float* out, int threads,
           void* scratchpad);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Null where bf16 is multiplied as f32. Throws Error{environment} where `choice` is native and
// oneDNN has no such products for this CPU.
std::shared_ptr<DnnlProducts> make_bf16_products(Bf16Products choice);

}  // namespace weft::detail
