// Attention by rows, for any element type and head: all scores of one query (or of one key) in
// memory at a time. For shapes and types that the tile kernels do not take, and for generation.
#pragma once

#include "core/kernels/storage.h"
#include "core/kernels/team.h"

namespace weft::kernels::simple {

// How many keys local query i sees: they are the first ones. Shape is an AttentionProblem.
template <typename Shape>
WEFT_KERNEL int64_t keys_seen(const Shape& s, int64_t i) {
  const auto of_run = [&](int64_t begin, int64_t count) {
    const int64_t n = s.queries.at(i) + 1 - begin;
    return n < 0 ? int64_t{0} : (n < count ? n : count);
  };
  return of_run(s.keys.first, s.keys.run) + of_run(s.keys.second, s.keys.count - s.keys.run);
}

// The first local query that sees local key j.
template <typename Shape>
WEFT_KERNEL int64_t first_to_see(const Shape& s, int64_t j) {
  const int64_t place = s.keys.at(j);
  if (place <= s.queries.first) return 0;
  if (place < s.queries.first + s.queries.run) return place - s.queries.first;
  if (place <= s.queries.second) return s.queries.run;
  const int64_t i = s.queries.run + place - s.queries.second;
  return i < s.queries.count ? i : s.queries.count;
}

template <typename S>
WEFT_KERNEL Arithmetic<S> dot(int64_t n, const S* a, const S* b) {
  Arithmetic<S> sum = 0;
  for (int64_t d = 0; d < n; ++d) sum += load(a[d]) * load(b[d]);
  return sum;
}

// One query against n keys and values, `stride` elements apart. `keep(j)` is what probability j is
// multiplied by after the softmax. out [dim] = and, if not null, lse [1] =; with `merge` they hold
// the softmax of other keys, which these join. scores has room for n.
template <typename Team, typename S, typename Keep>
WEFT_KERNEL void forward_row(Team team, int64_t n, int64_t dim, float scale, const S* q, const S* k,
                             const S* v, int64_t stride, const Keep& keep, bool merge, S* out,
                             float* lse, float* scores) {
  team.for_each(n, [=](int64_t j) { scores[j] = scale * dot(dim, q, k + j * stride); });
  const float seen = team.template max<float>(n, [=](int64_t j) { return scores[j]; });
  const float before = merge ? *lse : -std::numeric_limits<float>::infinity();
  const float top = seen > before ? seen : before;
  const float rest = merge ? exp(before - top) : 0.0f;
  team.for_each(n, [=](int64_t j) { scores[j] = exp(scores[j] - top); });
  const float total = rest + team.template sum<float>(n, [=](int64_t j) { return scores[j]; });
  team.for_each(n, [=](int64_t j) { scores[j] *= keep(j); });
  team.sync();
  team.for_each(dim, [=](int64_t d) {
    float sum = merge ? rest * load(out[d]) : 0.0f;
    for (int64_t j = 0; j < n; ++j) sum += scores[j] * load(v[j * stride + d]);
    out[d] = store<S>(sum / total);
  });
  team.sync();  // every worker has read *lse and scores
  if (lse != nullptr) *lse = top + std::log(total);
}

// The gradient of one query from n keys and values: dq [dim] = or, with `add`, +=. delta [1] =
// dout . out.
template <typename Team, typename S, typename Keep>
WEFT_KERNEL void query_gradient_row(Team team, int64_t n, int64_t dim, float scale, const S* q,
                                    const S* k, const S* v, int64_t stride, const Keep& keep,
                                    const S* dout, const S* out, float lse, bool add, S* dq,
                                    float* delta, float* scores) {
  const float meeting =
      team.template sum<float>(dim, [=](int64_t d) { return load(dout[d]) * load(out[d]); });
  *delta = meeting;
  team.for_each(n, [=](int64_t j) {
    const float p = exp(scale * dot(dim, q, k + j * stride) - lse);
    scores[j] = p * (dot(dim, dout, v + j * stride) * keep(j) - meeting);
  });
  team.sync();
  team.for_each(dim, [=](int64_t d) {
    float sum = 0;
    for (int64_t j = 0; j < n; ++j) sum += scores[j] * load(k[j * stride + d]);
    dq[d] = store<S>((add ? load(dq[d]) : 0.0f) + scale * sum);
  });
  team.sync();  // scores may be written again
}

// Adds to dk and dv [dim] of one key what n queries of one head, `q_stride` and `out_stride`
// elements apart, give it. weights and dscores have room for n.
template <typename Team, typename S, typename Keep>
WEFT_KERNEL void key_gradient_row(Team team, int64_t n, int64_t dim, float scale, const S* q,
                                  int64_t q_stride, const S* dout, int64_t out_stride, const S* k,
                                  const S* v, const Keep& keep, const float* lse,
                                  const float* delta, float* dk, float* dv, float* weights,
                                  float* dscores) {
  team.for_each(n, [=](int64_t i) {
    const float p = exp(scale * dot(dim, q + i * q_stride, k) - lse[i]);
    const float kept = keep(i);
    weights[i] = p * kept;
    dscores[i] = p * (dot(dim, dout + i * out_stride, v) * kept - delta[i]);
  });
  team.sync();
  team.for_each(dim, [=](int64_t d) {
    float of_key = 0, of_value = 0;
    for (int64_t i = 0; i < n; ++i) {
      of_key += dscores[i] * load(q[i * q_stride + d]);
      of_value += weights[i] * load(dout[i * out_stride + d]);
    }
    dk[d] += scale * of_key;
    dv[d] += of_value;
  });
  team.sync();  // weights and dscores may be written again
}

}  // namespace weft::kernels::simple
