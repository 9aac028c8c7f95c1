// Collective cases: what each collective must compute, written down a second time in the plainest
// way, and one check per op that any communicator can be put through.
//
// Every element depends on (rank, index, case), so a block that lands in the wrong place shows; f32
// and f64 values have full mantissas, so another order of addition shows in the bits.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "core/device/cpu/cpu_device.h"
#include "core/kernels/storage.h"
#include "core/mesh/communicator.h"

namespace weft::testing {

// None, one, fewer than ranks, odd, around the inline limit of mpi, several of the tests' chunks.
inline const std::vector<int64_t>& case_counts() {
  static const std::vector<int64_t> counts{0, 1, 3, 17, 255, 512, 513, 1000, 4099, 70001};
  return counts;
}

template <typename S>
S value_of(int rank, int64_t i) {
  using T = kernels::Arithmetic<S>;
  uint64_t h = static_cast<uint64_t>(i + 1) * 0x9E3779B97F4A7C15ull +
               static_cast<uint64_t>(rank + 1) * 0xBF58476D1CE4E5B9ull;
  h ^= h >> 29;
  h *= 0x94D049BB133111EBull;
  h ^= h >> 32;
  if constexpr (std::is_integral_v<T>) return static_cast<T>(h);
  const double unit = static_cast<double>(h >> 11) * 0x1p-53 - 0.5;
  return kernels::store<S>(static_cast<T>(unit * static_cast<double>(1 << (h & 7))));
}

template <typename T>
std::vector<T> values_of(int rank, int64_t count) {
  std::vector<T> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) values[static_cast<size_t>(i)] = value_of<T>(rank, i);
  return values;
}

template <typename T>
T combine(T a, T b, ReduceOp op) {
  if (op == ReduceOp::max) return a > b ? a : b;
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
  return a + b;
}

// ((r0 + r1) + (r2 + r3)) + ..., level by level, in the arithmetic type; at most 16 ranks.
template <typename S>
S reduced(int ranks, int64_t i, ReduceOp op) {
  std::array<kernels::Arithmetic<S>, 16> level{};
  for (int r = 0; r < ranks; ++r) level[static_cast<size_t>(r)] = kernels::load(value_of<S>(r, i));
  for (auto n = static_cast<size_t>(ranks); n > 1; n = (n + 1) / 2) {
    for (size_t k = 0; 2 * k < n; ++k) {
      const bool paired = 2 * k + 1 < n;
      level[k] = paired ? combine(level[2 * k], level[2 * k + 1], op) : level[2 * k];
    }
  }
  return kernels::store<S>(level.front());
}

template <typename T>
Tensor tensor_of(std::vector<T>& values) {
  return Tensor(values.data(), Shape{static_cast<int64_t>(values.size())}, dtype_of<T>);
}

// Index of the first element whose bits differ, or -1.
template <typename T>
int64_t first_difference(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(T)) != 0) return static_cast<int64_t>(i);
  }
  return -1;
}

template <typename T>
void check_all_reduce(Communicator& comm, Stream& stream, int64_t count, ReduceOp op) {
  std::vector<T> data = values_of<T>(comm.rank(), count);
  comm.all_reduce(tensor_of(data), op, stream);
  stream.synchronize();
  std::vector<T> expected;
  for (int64_t i = 0; i < count; ++i) expected.push_back(reduced<T>(comm.size(), i, op));
  EXPECT_EQ(first_difference(data, expected), -1) << "all_reduce of " << count;
}

template <typename T>
void check_reduce_scatter(Communicator& comm, Stream& stream, int64_t count, bool in_place) {
  std::vector<T> in = values_of<T>(comm.rank(), count * comm.size());
  std::vector<T> apart(static_cast<size_t>(count));
  T* const own = in.data() + comm.rank() * count;
  const Tensor out(in_place ? own : apart.data(), Shape{count}, dtype_of<T>);
  comm.reduce_scatter(tensor_of(in), out, stream);
  stream.synchronize();
  const std::vector<T> result(out.data<T>(), out.data<T>() + count);
  std::vector<T> expected;
  for (int64_t i = 0; i < count; ++i) {
    expected.push_back(reduced<T>(comm.size(), comm.rank() * count + i, ReduceOp::sum));
  }
  EXPECT_EQ(first_difference(result, expected), -1) << "reduce_scatter of " << count;
}

template <typename T>
void check_all_gather(Communicator& comm, Stream& stream, int64_t count, bool in_place) {
  std::vector<T> own = values_of<T>(comm.rank(), count);
  std::vector<T> out(static_cast<size_t>(count * comm.size()));
  T* const block = out.data() + comm.rank() * count;
  if (in_place) std::copy(own.begin(), own.end(), block);
  const Tensor in(in_place ? block : own.data(), Shape{count}, dtype_of<T>);
  comm.all_gather(in, tensor_of(out), stream);
  stream.synchronize();
  std::vector<T> expected;
  for (int r = 0; r < comm.size(); ++r) {
    const std::vector<T> theirs = values_of<T>(r, count);
    expected.insert(expected.end(), theirs.begin(), theirs.end());
  }
  EXPECT_EQ(first_difference(out, expected), -1) << "all_gather of " << count;
}

template <typename T>
void check_broadcast(Communicator& comm, Stream& stream, int64_t count, int root) {
  std::vector<T> data = values_of<T>(comm.rank(), count);
  comm.broadcast(tensor_of(data), root, stream);
  stream.synchronize();
  EXPECT_EQ(first_difference(data, values_of<T>(root, count)), -1) << "broadcast of " << count;
}

// Everybody sends two messages to everybody, itself included, listed in an order that would
// deadlock if messages were passed one after the other.
template <typename T>
void check_exchange(Communicator& comm, Stream& stream, int64_t count) {
  const auto ranks = static_cast<size_t>(comm.size());
  std::vector<T> first = values_of<T>(comm.rank(), count);
  std::vector<T> second = values_of<T>(comm.rank() + 100, count + 1);
  std::vector<std::vector<T>> in_first(ranks, std::vector<T>(first.size()));
  std::vector<std::vector<T>> in_second(ranks, std::vector<T>(second.size()));
  std::vector<P2P> messages;
  for (int p = 0; p < comm.size(); ++p) {
    const auto at = static_cast<size_t>(p);
    messages.push_back({P2P::Kind::receive, p, tensor_of(in_first[at])});
    messages.push_back({P2P::Kind::send, p, tensor_of(first)});
    messages.push_back({P2P::Kind::send, p, tensor_of(second)});
    messages.push_back({P2P::Kind::receive, p, tensor_of(in_second[at])});
  }
  comm.exchange(messages, stream);
  messages.clear();
  stream.synchronize();
  for (int p = 0; p < comm.size(); ++p) {
    const auto at = static_cast<size_t>(p);
    EXPECT_EQ(first_difference(in_first[at], values_of<T>(p, count)), -1) << "from " << p;
    EXPECT_EQ(first_difference(in_second[at], values_of<T>(p + 100, count + 1)), -1)
        << "from " << p;
  }
}

template <typename T>
void check_every_op(Communicator& comm, Stream& stream) {
  for (const int64_t count : case_counts()) {
    SCOPED_TRACE(::testing::Message() << "rank " << comm.rank() << " of " << comm.size());
    check_all_reduce<T>(comm, stream, count, ReduceOp::sum);
    check_all_reduce<T>(comm, stream, count, ReduceOp::max);
    if constexpr (!std::is_integral_v<T>) {
      check_reduce_scatter<T>(comm, stream, count, false);
      check_reduce_scatter<T>(comm, stream, count, true);
    }
    check_all_gather<T>(comm, stream, count, false);
    check_all_gather<T>(comm, stream, count, true);
    check_broadcast<T>(comm, stream, count, static_cast<int>(count) % comm.size());
    check_exchange<T>(comm, stream, count);
    comm.barrier();
  }
}

}  // namespace weft::testing
