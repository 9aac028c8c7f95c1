// The attention kernels of GPUs, lane by lane on the host, against attention in double.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/kernels/flash_backward.h"
#include "core/kernels/flash_forward.h"
#include "core/ops/attention_problem.h"
#include "tests/core/kernels/host_warp.h"

namespace weft::kernels {
namespace {

// One call: the parts of a sequence that queries and keys are, and how wide rows are.
struct Case {
  const char* name;
  int64_t batch = 1, heads = 2, kv_heads = 2, dim = 64;
  TokenShare queries = TokenShare::whole(100);
  TokenShare keys = TokenShare::whole(100);
  double dropout = 0;
  bool apart = false;  // keys and values lie in a tensor of their own, with 8 columns before them
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

AttentionProblem shape_of(const Case& c) {
  AttentionProblem s{};
  s.batch = c.batch;
  s.heads = c.heads;
  s.kv_heads = c.kv_heads;
  s.dim = c.dim;
  s.q_width = (c.heads + 2 * c.kv_heads) * c.dim;
  s.kv_width = c.apart ? 2 * c.kv_heads * c.dim + 8 : s.q_width;
  s.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(c.dim)));
  s.queries = c.queries;
  s.keys = c.keys;
  s.keep_factor = c.dropout == 0 ? 0.0f : static_cast<float>(1 / (1 - c.dropout));
  s.threshold = static_cast<uint32_t>(c.dropout * 0x1p32);
  s.key = {.seed = 5, .stream = 6, .step = 7};
  s.first_sample = 3;
  s.first_head = 1;
  s.global_heads = c.heads + 2;
  return s;
}

template <typename S>
std::vector<S> random_values(int64_t count, uint32_t stream) {
  std::vector<S> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    const double x = uniform(random_word({.seed = 1, .stream = stream, .step = 0}, i));
    values[i] = store<S>(static_cast<float>(2 * x - 1));
  }
  return values;
}

// Attention and its gradients in double, from the same rounded inputs.
struct Reference {
  std::vector<double> out, lse, dq, dk, dv;
};

template <typename S>
Reference reference(const AttentionProblem& s, const std::vector<S>& qkv, const std::vector<S>& kv,
                    const std::vector<S>& dout) {
  const auto value = [](const std::vector<S>& v, int64_t at) {
    return static_cast<double>(load(v[static_cast<size_t>(at)]));
  };
  Reference r;
  r.out.resize(dout.size());
  r.lse.resize(static_cast<size_t>(s.batch * s.heads * s.queries.count),
               -std::numeric_limits<double>::infinity());
  r.dq.resize(qkv.size());
  r.dk.resize(kv.size());
  r.dv.resize(kv.size());
  const int64_t keys = s.keys.count;
  std::vector<double> p(static_cast<size_t>(keys)), dp(p);
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t h = 0; h < s.heads; ++h) {
      for (int64_t i = 0; i < s.queries.count; ++i) {
        const int64_t q = s.q_at(b, h) + i * s.q_width;
        const int64_t o = s.out_at(b, h) + i * s.out_width();
        const auto k_of = [&](int64_t j) { return s.k_at(b, s.kv_head(h)) + j * s.kv_width; };
        const auto v_of = [&](int64_t j) { return s.v_at(b, s.kv_head(h)) + j * s.kv_width; };
        double total = 0, delta = 0;
        for (int64_t j = 0; j < keys; ++j) {
          double score = 0;
          for (int64_t d = 0; d < s.dim; ++d) score += value(qkv, q + d) * value(kv, k_of(j) + d);
          p[static_cast<size_t>(j)] =
              s.sees(i, j) ? std::exp(score * static_cast<double>(s.scale)) : 0;
          total += p[static_cast<size_t>(j)];
        }
        if (total == 0) continue;
        r.lse[static_cast<size_t>(s.lse_at(b, h) + i)] = std::log(total);
        for (int64_t j = 0; j < keys; ++j) {
          const auto at = static_cast<size_t>(j);
          p[at] /= total;
          const double kept = s.keep_factor == 0 ? 1 : static_cast<double>(s.dropout(b, h, i, j));
          dp[at] = 0;
          for (int64_t d = 0; d < s.dim; ++d) {
            r.out[static_cast<size_t>(o + d)] += p[at] * kept * value(kv, v_of(j) + d);
            dp[at] += value(dout, o + d) * value(kv, v_of(j) + d) * kept;
            r.dv[static_cast<size_t>(v_of(j) + d)] += p[at] * kept * value(dout, o + d);
          }
          delta += p[at] * dp[at];
        }
        for (int64_t j = 0; j < keys; ++j) {
          const auto at = static_cast<size_t>(j);
          const double ds = p[at] * (dp[at] - delta) * static_cast<double>(s.scale);
          for (int64_t d = 0; d < s.dim; ++d) {
            r.dq[static_cast<size_t>(q + d)] += ds * value(kv, k_of(j) + d);
            r.dk[static_cast<size_t>(k_of(j) + d)] += ds * value(qkv, q + d);
          }
        }
      }
    }
  }
  return r;
}

// Tensors of one call, gradients filled with what must not stay.
template <typename S>
struct Call {
  AttentionProblem shape;
  std::vector<S> qkv, kv, dout, out, dqkv, dkv;
  std::vector<float> lse, delta;

  explicit Call(const Case& c) : shape(shape_of(c)) {
    const int64_t rows = c.batch * c.queries.count;
    qkv = random_values<S>(rows * shape.q_width, 1);
    kv = c.apart ? random_values<S>(c.batch * c.keys.count * shape.kv_width, 2) : qkv;
    dout = random_values<S>(rows * shape.out_width(), 3);
    out.resize(dout.size());
    lse.resize(static_cast<size_t>(rows * c.heads));
    delta.resize(lse.size());
    dqkv.assign(qkv.size(), store<S>(9.0f));
    dkv.assign(kv.size(), store<S>(9.0f));
  }
};

int64_t tiles(int64_t rows) { return (rows + flash::kRows - 1) / flash::kRows; }

template <int D, typename S>
void run_forward(Call<S>& c) {
  const flash::Forward<S, AttentionProblem> p{c.shape, c.qkv.data(), c.kv.data(), c.out.data(),
                                              c.lse.data()};
  std::vector<S> shared(flash::kForwardElements<D>);
  for (int64_t b = 0; b < c.shape.batch; ++b) {
    for (int64_t h = 0; h < c.shape.heads; ++h) {
      for (int64_t block = 0; block < tiles(c.shape.queries.count); ++block) {
        run_block(flash::kWarps, [&](const HostWarp& w) {
          flash::forward_block<D>(w, p, b, h, block, shared.data());
        });
      }
    }
  }
}

template <int D, typename S>
void run_backward(Call<S>& c) {
  const AttentionProblem& s = c.shape;
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t h = 0; h < s.heads; ++h) {
      for (int64_t i = 0; i < s.queries.count; ++i) {
        float sum = 0;
        for (int64_t d = 0; d < s.dim; ++d) {
          const auto at = static_cast<size_t>(s.out_at(b, h) + i * s.out_width() + d);
          sum += load(c.out[at]) * load(c.dout[at]);
        }
        c.delta[static_cast<size_t>(s.lse_at(b, h) + i)] = sum;
      }
    }
  }
  const flash::Backward<S, AttentionProblem> p{s,
                                               c.dout.data(),
                                               c.qkv.data(),
                                               c.kv.data(),
                                               c.lse.data(),
                                               c.delta.data(),
                                               c.dqkv.data(),
                                               c.dkv.data()};
  std::vector<S> shared(flash::kBackwardElements<D>);
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t h = 0; h < s.heads; ++h) {
      for (int64_t block = 0; block < tiles(s.queries.count); ++block) {
        run_block(flash::kWarps, [&](const HostWarp& w) {
          flash::query_gradient_block<D>(w, p, b, h, block, shared.data());
        });
      }
    }
    for (int64_t kv = 0; kv < s.kv_heads; ++kv) {
      for (int64_t block = 0; block < tiles(s.keys.count); ++block) {
        run_block(flash::kWarps, [&](const HostWarp& w) {
          flash::key_gradient_block<D>(w, p, b, kv, block, shared.data());
        });
      }
    }
  }
}

// The unit roundoff of S, and of a probability rounded to it before it meets a value.
template <typename S>
constexpr double kUnit = std::is_same_v<S, Bf16> ? 0x1p-8 : 0x1p-11;

template <typename S>
void expect_near(const char* what, double got, double want, double bound, int64_t at) {
  ASSERT_LE(std::fabs(got - want), bound * (1 + std::fabs(want))) << what << " " << at;
}

// Forward: a probability is rounded once and the result once, values are at most 1 and the weights
// sum to at most 2 (with dropout): 3 units. Backward: out, which delta comes from, is off by 3
// units and meets dim values of at most 1, scale times that is at most sqrt(dim) = 11; and every
// sum of n products is one of rounded factors, whose roundings grow like sqrt(n).
template <int D, typename S>
void check(const Case& c) {
  Call<S> call(c);
  const AttentionProblem& s = call.shape;
  const Reference want = reference(s, call.qkv, call.kv, call.dout);
  run_forward<D>(call);
  for (size_t i = 0; i < want.lse.size(); ++i) {
    expect_near<S>("lse", static_cast<double>(call.lse[i]), want.lse[i], 1e-5,
                   static_cast<int64_t>(i));
  }
  for (size_t i = 0; i < want.out.size(); ++i) {
    expect_near<S>("out", static_cast<double>(load(call.out[i])), want.out[i], 3 * kUnit<S>,
                   static_cast<int64_t>(i));
  }
  run_backward<D>(call);
  const double bound = 16 * kUnit<S>;
  const int64_t q_columns = s.heads * s.dim;
  for (size_t i = 0; i < want.dq.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    const auto got = static_cast<double>(load(call.dqkv[i]));
    if (at % s.q_width < q_columns) {
      expect_near<S>("dq", got, want.dq[i], bound, at);
    } else {
      ASSERT_EQ(got, 9) << "a column that is none of the queries'";
    }
  }
  for (size_t i = 0; i < want.dk.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    const int64_t from_end = s.kv_width - at % s.kv_width;
    const auto got = static_cast<double>(load(call.dkv[i]));
    if (from_end > 2 * s.kv_heads * s.dim) {
      ASSERT_EQ(got, 9) << "a column that is none of the keys'";
    } else {
      expect_near<S>("dk or dv", got, want.dk[i] + want.dv[i], bound, at);
    }
  }
}

class FlashAttentionTest : public testing::TestWithParam<Case> {};

TEST_P(FlashAttentionTest, MatchesAttentionInDouble) {
  const Case& c = GetParam();
  if (c.dim <= 64) {
    check<64, Bf16>(c);
    check<64, F16>(c);
  } else {
    check<128, Bf16>(c);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, FlashAttentionTest,
    testing::Values(
        Case{.name = "one token", .queries = TokenShare::whole(1), .keys = TokenShare::whole(1)},
        Case{.name = "uneven", .batch = 2},
        Case{.name = "whole tiles",
             .queries = TokenShare::whole(128),
             .keys = TokenShare::whole(128)},
        Case{.name = "narrow heads", .dim = 24},
        Case{.name = "wide heads", .heads = 1, .kv_heads = 1, .dim = 128},
        Case{.name = "heads of 80", .heads = 1, .kv_heads = 1, .dim = 80},
        Case{.name = "grouped heads", .heads = 4, .kv_heads = 2, .dim = 16},
        Case{.name = "dropout", .heads = 2, .dropout = 0.5},
        Case{.name = "zigzag share",
             .queries = TokenShare::zigzag(160, 0, 2),
             .keys = TokenShare::zigzag(160, 0, 2),
             .apart = true},
        Case{.name = "keys of another rank",
             .queries = {.length = 300, .count = 90, .run = 90, .first = 130, .second = 220},
             .keys = {.length = 300, .count = 150, .run = 70, .first = 0, .second = 150},
             .apart = true}),
    [](const testing::TestParamInfo<Case>& tested) {
      std::string name = tested.param.name;
      for (char& ch : name) ch = ch == ' ' ? '_' : ch;
      return name;
    });

// Two blocks of keys, one call each, as ring attention does; then all of them at once.
TEST(FlashAttentionTest, MergesBlocksOfKeys) {
  Case whole{.name = "whole", .apart = true};
  whole.queries = TokenShare{.length = 200, .count = 80, .run = 80, .first = 100, .second = 180};
  whole.keys = TokenShare::whole(180);
  Call<Bf16> want(whole);
  run_forward<64>(want);
  run_backward<64>(want);

  Call<Bf16> parts[2] = {Call<Bf16>(whole), Call<Bf16>(whole)};
  for (int i = 0; i < 2; ++i) {
    Call<Bf16>& part = parts[i];
    part.shape.keys = {.length = 200, .count = 90, .run = 90, .first = 90 * i, .second = 200};
    part.shape.merge = i == 1;
    const int64_t rows = 90 * part.shape.kv_width;
    part.kv.assign(want.kv.begin() + i * rows, want.kv.begin() + (i + 1) * rows);
    part.dkv.resize(part.kv.size());
    if (i == 1) {
      part.out = parts[0].out;
      part.lse = parts[0].lse;
    }
    run_forward<64>(part);
  }
  for (size_t i = 0; i < want.lse.size(); ++i) {
    EXPECT_NEAR(parts[1].lse[i], want.lse[i], 1e-5);
  }
  for (size_t i = 0; i < want.out.size(); ++i) {
    ASSERT_NEAR(load(parts[1].out[i]), load(want.out[i]), 4 * 0x1p-8) << i;
  }
  for (int i = 0; i < 2; ++i) {
    Call<Bf16>& part = parts[i];
    part.out = want.out;
    part.lse = want.lse;
    if (i == 1) part.dqkv = parts[0].dqkv;
    run_backward<64>(part);
    const int64_t rows = 90 * part.shape.kv_width;
    for (int64_t at = 0; at < rows; ++at) {
      if (at % part.shape.kv_width < 8) continue;
      ASSERT_NEAR(load(part.dkv[static_cast<size_t>(at)]),
                  load(want.dkv[static_cast<size_t>(i * rows + at)]), 16 * 0x1p-8);
    }
  }
  for (size_t i = 0; i < want.dqkv.size(); ++i) {
    if (static_cast<int64_t>(i) % want.shape.q_width >= want.shape.out_width()) continue;
    ASSERT_NEAR(load(parts[1].dqkv[i]), load(want.dqkv[i]), 16 * 0x1p-8) << i;
  }
}

}  // namespace
}  // namespace weft::kernels
