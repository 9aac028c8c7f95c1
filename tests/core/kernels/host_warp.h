// HostWarp: a Warp (core/kernels/warp.h) of 32 slots in one host thread. The matrix instructions do
// what the PTX manual says of every lane; a block is one thread per warp.
#pragma once

#include <barrier>
#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

#include "core/kernels/warp.h"

namespace weft::kernels {

class HostWarp {
 public:
  static constexpr int kSlots = 32;

  HostWarp(int index, std::barrier<>& block) : index_(index), block_(&block) {}

  int lane(int slot) const { return slot; }
  int index() const { return index_; }
  int thread(int slot) const { return 32 * index_ + slot; }
  void sync() const { block_->arrive_and_wait(); }

  void copy_async(void* to, const void* from, bool valid) const {
    if (valid) {
      std::memcpy(to, from, 16);
    } else {
      std::memset(to, 0, 16);
    }
  }
  void commit() const {}
  template <int kLeft>
  void wait() const {}

  template <typename Row>
  void load_matrices(uint32_t (&r)[32][4], const Row& row) const {
    load(r, row, [](int lane, int i) { return Place{lane / 4, lane % 4 * 2 + i}; });
  }
  template <typename Row>
  void load_transposed(uint32_t (&r)[32][4], const Row& row) const {
    load(r, row, [](int lane, int i) { return Place{lane % 4 * 2 + i, lane / 4}; });
  }

  // A is 16 x 16: lane l holds rows l / 4 and l / 4 + 8 of columns 2 (l % 4) and the next in a[0],
  // a[1], of those 8 further on in a[2], a[3]. B is 16 x 8: rows 2 (l % 4) and the next of column
  // l / 4 in b[0], those 8 further down in b[1].
  template <typename S>
  void multiply(float (&c)[32][4], const uint32_t (&a)[32][4], const uint32_t (&b)[32][2]) const {
    float left[16][16], right[16][8];
    for (int l = 0; l < 32; ++l) {
      for (int i = 0; i < 4; ++i) {
        for (int e = 0; e < 2; ++e) {
          left[l / 4 + i % 2 * 8][l % 4 * 2 + e + i / 2 * 8] = element<S>(a[l][i], e);
        }
      }
      for (int i = 0; i < 2; ++i) {
        for (int e = 0; e < 2; ++e) right[l % 4 * 2 + e + i * 8][l / 4] = element<S>(b[l][i], e);
      }
    }
    for (int l = 0; l < 32; ++l) {
      for (int i = 0; i < 4; ++i) {
        const int row = l / 4 + i / 2 * 8;
        const int column = l % 4 * 2 + i % 2;
        for (int k = 0; k < 16; ++k) c[l][i] += left[row][k] * right[k][column];
      }
    }
  }

  void quad_max(float (&v)[32]) const {
    for (int q = 0; q < 32; q += 4) {
      const float top = std::fmax(std::fmax(v[q], v[q + 1]), std::fmax(v[q + 2], v[q + 3]));
      for (int i = 0; i < 4; ++i) v[q + i] = top;
    }
  }
  void quad_sum(float (&v)[32]) const {
    for (int q = 0; q < 32; q += 4) {
      const float sum = (v[q] + v[q + 1]) + (v[q + 2] + v[q + 3]);
      for (int i = 0; i < 4; ++i) v[q + i] = sum;
    }
  }

  template <typename S>
  static uint32_t pack(float low, float high) {
    return uint32_t{store<S>(low).bits} | uint32_t{store<S>(high).bits} << 16;
  }
  static float exp2(float x) { return std::exp2(x); }

 private:
  struct Place {
    int row, column;
  };

  template <typename S>
  static float element(uint32_t both, int e) {
    return kernels::load(S{static_cast<uint16_t>(both >> (16 * e))});
  }

  // Element i of lane l and matrix m is that at place(l, i) of the matrix whose rows are row(8 m
  // ...).
  template <typename Row, typename Where>
  static void load(uint32_t (&r)[32][4], const Row& row, const Where& place) {
    for (int l = 0; l < 32; ++l) {
      for (int m = 0; m < 4; ++m) {
        uint32_t both = 0;
        for (int i = 0; i < 2; ++i) {
          const Place p = place(l, i);
          both |= uint32_t{row(8 * m + p.row)[p.column].bits} << (16 * i);
        }
        r[l][m] = both;
      }
    }
  }

  int index_;
  std::barrier<>* block_;
};

// Runs body(warp) on all warps of one block.
template <typename Body>
void run_block(int warps, const Body& body) {
  std::barrier<> block(warps);
  std::vector<std::thread> threads;
  for (int i = 0; i < warps; ++i) {
    threads.emplace_back([&, i] { body(HostWarp(i, block)); });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace weft::kernels
