// Token and position embeddings.
#include <algorithm>

#include "core/device/cpu/parallel_for.h"
#include "core/kernels/storage.h"
#include "core/kernels/team.h"
#include "core/ops/cpu/cpu_ops.h"

namespace weft {
namespace {

using kernels::HostTeam;

// One lookup: `tokens` of [batch, length] in a table of `rows` rows that begins at id `first`.
struct Lookup {
  int64_t count, length, columns, rows, first;
  TokenShare places;
  const int32_t* tokens;

  Lookup(const Tensor& ids, const Tensor& table, int64_t vocab_begin, const TokenShare& positions)
      : count(ids.elements()),
        length(ids.shape().back()),
        columns(table.shape().back()),
        rows(table.shape().rows()),
        first(vocab_begin),
        places(positions),
        tokens(ids.data<int32_t>()) {}

  // The table row of the i-th token, -1 if it is on another shard.
  int64_t row(int64_t i) const {
    const int64_t r = tokens[i] - first;
    return r >= 0 && r < rows ? r : -1;
  }
  // Its position.
  int64_t place(int64_t i) const { return places.at(i % length); }
};

// to = table row + positions row; either may be null, which is zero.
template <typename S>
void sum_rows(int64_t n, const S* row, const S* position, S* to) {
  using T = kernels::Arithmetic<S>;
  if (row != nullptr && position != nullptr) {
    HostTeam().for_each(n, [=](int64_t c) WEFT_LANE {
      to[c] = kernels::store<S>(kernels::load(row[c]) + kernels::load(position[c]));
    });
  } else if (row != nullptr || position != nullptr) {
    std::copy_n(row != nullptr ? row : position, n, to);
  } else {
    std::fill_n(to, n, kernels::store<S>(T(0)));
  }
}

template <typename S, typename T>
void add_row(int64_t n, const S* from, T* to) {
  HostTeam().for_each(n, [=](int64_t c) WEFT_LANE { to[c] += kernels::load(from[c]); });
}

}  // namespace

void CpuOps::run(const op::EmbeddingForward& args, Stream& stream) {
  detail::with_float(args.y.dtype(), [&](auto zero) {
    using S = decltype(zero);
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(),
             at = Lookup(args.tokens, args.table, args.vocab_begin, args.places),
             from = args.table.data<S>(), vectors = detail::optional_data<S>(args.positions),
             to = args.y.data<S>()] {
      parallel_for(threads, at.count, 16, [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t r = at.row(i);
          sum_rows(at.columns, r < 0 ? nullptr : from + r * at.columns,
                   vectors == nullptr ? nullptr : vectors + at.place(i) * at.columns,
                   to + i * at.columns);
        }
      });
    });
  });
}

// Threads take columns, not tokens: each sums all tokens of its columns in token order, so equal
// tokens need neither atomics nor buckets.
void CpuOps::run(const op::EmbeddingBackward& args, Stream& stream) {
  detail::with_float(args.dy.dtype(), [&](auto zero) {
    using S = decltype(zero);
    using T = kernels::Arithmetic<S>;
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(),
             at = Lookup(args.tokens, args.dtable, args.vocab_begin, args.places),
             from = args.dy.data<S>(), vectors = detail::optional_data<T>(args.dpositions),
             to = args.dtable.data<T>()] {
      constexpr int64_t kCacheLine = 64 / sizeof(T);
      parallel_for(threads, at.columns, kCacheLine, [=](int64_t begin, int64_t end) {
        for (int64_t i = 0; i < at.count; ++i) {
          const S* row = from + i * at.columns + begin;
          const int64_t r = at.row(i);
          if (r >= 0) add_row(end - begin, row, to + r * at.columns + begin);
          if (vectors != nullptr) {
            add_row(end - begin, row, vectors + at.place(i) * at.columns + begin);
          }
        }
      });
    });
  });
}

}  // namespace weft
