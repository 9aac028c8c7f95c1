// AdamW: one pass over weight, gradient and both moments.
#include "core/kernels/adamw.h"

#include <cmath>

#include "core/device/cpu/parallel_for.h"
#include "core/ops/cpu/cpu_ops.h"
#include "core/ops/cpu/element_runs.h"

namespace weft {
namespace {

using kernels::HostTeam;
constexpr int64_t kGrain = 16384;

// One update with moments of M and a copy of C, which may be null.
template <typename M, typename C>
struct Update {
  int64_t n;
  double lr, beta1, beta2, eps, weight_decay;
  const float* scale;
  const int64_t* number;
  float *w, *g;
  M *m, *v;
  C* copy;
  bool stochastic;
  StochasticRounding rounding;

  Update(const op::AdamW& a, const AdamWTensor& t)
      : n(t.weight.elements()),
        lr(a.lr),
        beta1(a.beta1),
        beta2(a.beta2),
        eps(a.eps),
        weight_decay(t.weight_decay),
        scale(a.grad_scale.data<float>()),
        number(a.update.data<int64_t>()),
        w(t.weight.data<float>()),
        g(t.grad.data<float>()),
        m(t.exp_avg.data<M>()),
        v(t.exp_avg_sq.data<M>()),
        copy(detail::optional_data<C>(t.rounded)),
        stochastic(a.stochastic),
        rounding(t.rounding) {}
};

template <typename M, typename C>
kernels::AdamWStep prepare(const Update<M, C>& u) {
  const auto step = static_cast<double>(*u.number);
  return {.grad_scale = *u.scale,
          .beta1 = static_cast<float>(u.beta1),
          .beta2 = static_cast<float>(u.beta2),
          .rate = static_cast<float>(u.lr / (1.0 - std::pow(u.beta1, step))),
          .root_correction = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(u.beta2, step))),
          .eps = static_cast<float>(u.eps),
          .keep = static_cast<float>(1.0 - u.lr * u.weight_decay)};
}

// Elements [at, at + count).
template <typename M, typename C, typename Rounding>
void update_run(const Update<M, C>& u, const kernels::AdamWStep& step, const Rounding& rounding,
                int64_t at, int64_t count) {
  kernels::adamw_run(HostTeam(), count, step, rounding, u.w + at, u.g + at, u.m + at, u.v + at,
                     u.copy == nullptr ? nullptr : u.copy + at);
}

template <typename M, typename C>
void update_stochastically(const Update<M, C>& u, const kernels::AdamWStep& step, int64_t begin,
                           int64_t end) {
  const StochasticRounding& r = u.rounding;
  const uint32_t streams[] = {r.weight, r.exp_avg, r.exp_avg_sq};
  uint32_t buffers[kernels::kRoundedTensors][kernels::kWords];
  detail::for_each_run(r.elements, begin, end, [&](int64_t at, uint64_t first, int64_t count) {
    kernels::Stochastically rounding{};
    for (int i = 0; i < kernels::kRoundedTensors; ++i) {
      const RandomKey key{r.seed, streams[i], static_cast<uint32_t>(*u.number)};
      rounding.words[i] = kernels::random_words(HostTeam(), key, first, count, buffers[i]);
    }
    update_run(u, step, rounding, at, count);
  });
}

template <typename M, typename C>
void run_update(const Update<M, C>& u, int threads) {
  if (*u.number == 0) {
    parallel_for(threads, u.n, kGrain,
                 [&](int64_t begin, int64_t end) { std::fill(u.g + begin, u.g + end, 0.0f); });
    return;
  }
  const kernels::AdamWStep step = prepare(u);
  parallel_for(threads, u.n, kGrain, [&](int64_t begin, int64_t end) {
    if (u.stochastic) {
      update_stochastically(u, step, begin, end);
    } else {
      update_run(u, step, kernels::ToNearest(), begin, end - begin);
    }
  });
}

template <typename F>
void with_moment(DType dtype, const F& f) {
  dtype == DType::bf16 ? f(Bf16{}) : f(float{});
}

}  // namespace

void CpuOps::run(const op::AdamW& args, Stream& stream) {
  CpuStream& cpu = cpu_stream(stream);
  const Tensor& rounded = args.tensors.front().rounded;
  with_moment(args.tensors.front().exp_avg.dtype(), [&](auto moment) {
    detail::with_float(rounded.empty() ? DType::bf16 : rounded.dtype(), [&](auto copy) {
      using C = decltype(copy);
      if constexpr (sizeof(C) == sizeof(Bf16)) {
        for (const AdamWTensor& tensor : args.tensors) {
          const Update<decltype(moment), C> update(args, tensor);
          cpu.run([threads = cpu.threads(), update] { run_update(update, threads); });
        }
      }
    });
  });
}

}  // namespace weft
