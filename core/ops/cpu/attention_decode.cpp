// Attention of new tokens over a key/value cache, for generation: one query at a time, all of its
// scores in memory.
#include "core/kernels/storage.h"
#include "core/kernels/team.h"
#include "core/ops/cpu/attention_layout.h"
#include "core/ops/cpu/cpu_ops.h"

namespace weft {
namespace {

using kernels::HostTeam;

// T is the arithmetic type of S.
template <typename S, typename T>
struct DecodeTask {
  AttentionLayout<T> l;
  int64_t past, capacity;
  const S* qkv;
  S *keys, *values;  // caches
  S* out;

  int64_t cache_width() const { return l.kv_heads * l.dim; }
};

template <typename S, typename T>
void store_keys_and_values(const DecodeTask<S, T>& t, int64_t b) {
  const int64_t width = t.cache_width();
  for (int64_t i = 0; i < t.l.queries.count; ++i) {
    const int64_t to = (b * t.capacity + t.past + i) * width;
    std::copy_n(t.qkv + t.l.k_at(b, 0) + i * t.l.q_width(), width, t.keys + to);
    std::copy_n(t.qkv + t.l.v_at(b, 0) + i * t.l.q_width(), width, t.values + to);
  }
}

// Query i of head (b, h) against positions [0, past + i]; scores has room for them, sums for a
// head.
template <typename S, typename T>
void decode_query(const DecodeTask<S, T>& t, int64_t b, int64_t h, int64_t i, T* scores, T* sums) {
  const AttentionLayout<T>& l = t.l;
  const int64_t seen = t.past + i + 1;
  const int64_t width = t.cache_width();
  const int64_t cache = b * t.capacity * width + h / l.group() * l.dim;
  const S* q = t.qkv + l.q_at(b, h) + i * l.q_width();
  const T scale = l.scale;
  for (int64_t j = 0; j < seen; ++j) {
    const S* k = t.keys + cache + j * width;
    scores[j] = HostTeam().sum<T>(l.dim, [=](int64_t d) WEFT_LANE {
      return kernels::load(q[d]) * scale * kernels::load(k[d]);
    });
  }
  const T top = HostTeam().max<T>(seen, [=](int64_t j) WEFT_LANE { return scores[j]; });
  HostTeam().for_each(seen,
                      [=](int64_t j) WEFT_LANE { scores[j] = kernels::exp(scores[j] - top); });
  const T factor = T(1) / HostTeam().sum<T>(seen, [=](int64_t j) WEFT_LANE { return scores[j]; });
  std::fill_n(sums, l.dim, T(0));
  for (int64_t j = 0; j < seen; ++j) {
    const S* v = t.values + cache + j * width;
    const T p = scores[j] * factor;
    HostTeam().for_each(l.dim, [=](int64_t d) WEFT_LANE { sums[d] += p * kernels::load(v[d]); });
  }
  S* out = t.out + l.out_at(b, h) + i * l.out_width();
  HostTeam().for_each(l.dim, [=](int64_t d) WEFT_LANE { out[d] = kernels::store<S>(sums[d]); });
}

}  // namespace

size_t detail::attention_bytes(const op::AttentionDecode& args, int threads) {
  const int64_t room = args.k_cache.shape()[1] + args.spec.head_dim;
  return static_cast<size_t>(room * threads) * size_of(accumulator(args.qkv.dtype()));
}

void CpuOps::run(const op::AttentionDecode& args, Stream& stream) {
  detail::with_float(args.qkv.dtype(), [&](auto zero) {
    using S = decltype(zero);
    using T = kernels::Arithmetic<S>;
    CpuStream& cpu = cpu_stream(stream);
    AttentionSpec spec = args.spec;
    spec.queries = spec.keys = TokenShare::whole(args.qkv.shape()[1]);
    const DecodeTask<S, T> t{.l = AttentionLayout<T>(spec, args.qkv, args.qkv),
                             .past = args.past,
                             .capacity = args.k_cache.shape()[1],
                             .qkv = args.qkv.data<S>(),
                             .keys = args.k_cache.data<S>(),
                             .values = args.v_cache.data<S>(),
                             .out = args.out.data<S>()};
    cpu.run([threads = cpu.threads(), scratch = &scratch_, t] {
      const AttentionLayout<T>& l = t.l;
      const int64_t room = t.capacity + l.dim;  // of one thread
      T* memory = scratch->get<T>(room * threads);
      parallel_tasks(threads, l.batch, [&](int64_t b, int64_t) { store_keys_and_values(t, b); });
      parallel_tasks(threads, l.batch * l.heads, [&](int64_t task, int64_t thread) {
        T* scores = memory + thread * room;
        for (int64_t i = 0; i < l.queries.count; ++i) {
          decode_query(t, task / l.heads, task % l.heads, i, scores, scores + t.capacity);
        }
      });
    });
  });
}

}  // namespace weft
