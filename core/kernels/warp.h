// Warp: the 32 lanes that execute matrix instructions together, and what a block of them shares.
//
// A kernel over matrix instructions is a template over a Warp and keeps its registers in arrays
// [Warp::kSlots][...], one slot per lane that it stands for: CudaWarp is one thread and has one
// slot, so that the arrays become registers; the tests have a warp of 32 slots, which emulates the
// instructions as the PTX manual defines them. A loop over slots is what each lane does by itself.
//
// A Warp offers
//   lane(slot), index(), thread(slot)   the lane, the warp's number in the block, both as one
//   number sync()                              all warps of the block have come here copy_async(to,
//   from, valid)         16 bytes from global to shared memory, zeros if not valid commit(),
//   wait<N>()                 ends a group of copies; waits for all but the last N groups
//   load_matrices(r, row)               ldmatrix.x4: row(lane) is the address of row lane % 8 of
//   load_transposed(r, row)             matrix lane / 8, 8 elements of 16 bits; the second
//   transposes multiply<S>(c, a, b)                mma.m16n8k16: c += a b, a and b of S, c in f32
//   quad_max(v), quad_sum(v)            over the four lanes 4i ... 4i + 3
//   pack<S>(low, high)                  two elements of S, rounded to nearest, in one register
//   exp2(x)                             2^x
//
// Of a 16 x 8 product, lane l holds in c[0], c[1] row l / 4, columns 2 (l % 4) and the next, and in
// c[2], c[3] the same of row l / 4 + 8 (PTX ISA, matrix fragments for mma.m16n8k16).
#pragma once

#include <cstdint>

#include "core/kernels/storage.h"

#if defined(__CUDACC__)
#define WEFT_DEVICE __device__ __forceinline__
#define WEFT_UNROLL _Pragma("unroll")
#else
#define WEFT_DEVICE inline
#define WEFT_UNROLL
#endif

namespace weft::kernels {

#if defined(__CUDACC__)
struct CudaWarp {
  static constexpr int kSlots = 1;

  WEFT_DEVICE int lane(int) const { return static_cast<int>(threadIdx.x % 32); }
  WEFT_DEVICE int index() const { return static_cast<int>(threadIdx.x / 32); }
  WEFT_DEVICE int thread(int) const { return static_cast<int>(threadIdx.x); }
  WEFT_DEVICE void sync() const { __syncthreads(); }

  static WEFT_DEVICE uint32_t shared_address(const void* p) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(p));
  }

  WEFT_DEVICE void copy_async(void* to, const void* from, bool valid) const {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)),
                 "l"(from), "r"(valid ? 16 : 0)
                 : "memory");
  }
  WEFT_DEVICE void commit() const { asm volatile("cp.async.commit_group;" ::: "memory"); }
  template <int kLeft>
  WEFT_DEVICE void wait() const {
    asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
  }

  template <typename Row>
  WEFT_DEVICE void load_matrices(uint32_t (&r)[1][4], const Row& row) const {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0][0]), "=r"(r[0][1]), "=r"(r[0][2]), "=r"(r[0][3])
                 : "r"(shared_address(row(lane(0))))
                 : "memory");
  }
  template <typename Row>
  WEFT_DEVICE void load_transposed(uint32_t (&r)[1][4], const Row& row) const {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0][0]), "=r"(r[0][1]), "=r"(r[0][2]), "=r"(r[0][3])
                 : "r"(shared_address(row(lane(0))))
                 : "memory");
  }

  template <typename S>
  WEFT_DEVICE void multiply(float (&c)[1][4], const uint32_t (&a)[1][4],
                            const uint32_t (&b)[1][2]) const;

  WEFT_DEVICE void quad_max(float (&v)[1]) const {
    v[0] = fmaxf(v[0], __shfl_xor_sync(~0u, v[0], 1));
    v[0] = fmaxf(v[0], __shfl_xor_sync(~0u, v[0], 2));
  }
  WEFT_DEVICE void quad_sum(float (&v)[1]) const {
    v[0] += __shfl_xor_sync(~0u, v[0], 1);
    v[0] += __shfl_xor_sync(~0u, v[0], 2);
  }

  template <typename S>
  static WEFT_DEVICE uint32_t pack(float low, float high);
  static WEFT_DEVICE float exp2(float x) { return exp2f(x); }
};

#define WEFT_MULTIPLY(S, TYPE)                                                           \
  template <>                                                                            \
  WEFT_DEVICE void CudaWarp::multiply<S>(float(&c)[1][4], const uint32_t(&a)[1][4],      \
                                         const uint32_t(&b)[1][2]) const {               \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." TYPE "." TYPE                  \
                 ".f32 {%0, %1, %2, %3}, "                                               \
                 "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                         \
                 : "+f"(c[0][0]), "+f"(c[0][1]), "+f"(c[0][2]), "+f"(c[0][3])            \
                 : "r"(a[0][0]), "r"(a[0][1]), "r"(a[0][2]), "r"(a[0][3]), "r"(b[0][0]), \
                   "r"(b[0][1]));                                                        \
  }                                                                                      \
  template <>                                                                            \
  WEFT_DEVICE uint32_t CudaWarp::pack<S>(float low, float high) {                        \
    uint32_t both;                                                                       \
    asm("cvt.rn." TYPE "x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));         \
    return both;                                                                         \
  }
WEFT_MULTIPLY(Bf16, "bf16")
WEFT_MULTIPLY(F16, "f16")
#undef WEFT_MULTIPLY
#endif

}  // namespace weft::kernels
