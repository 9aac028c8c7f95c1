// Momentum, and the step along a direction.
#include "core/kernels/descent.h"

#include "core/device/cpu/parallel_for.h"
#include "core/ops/cpu/cpu_ops.h"
#include "core/ops/cpu/element_runs.h"

namespace weft {
namespace {

using kernels::HostTeam;
constexpr int64_t kGrain = 16384;

// Calls run(at, count, rounding) for runs that cover elements [begin, end), with what rounds the
// tensor called `which`, whose stream of random words is `words`, at update `number`.
template <typename Run>
void with_rounding(bool stochastic, const StochasticRounding& r, kernels::RoundedTensor which,
                   uint32_t words, int64_t number, int64_t begin, int64_t end, const Run& run) {
  if (!stochastic) return run(begin, end - begin, kernels::ToNearest());
  uint32_t buffer[kernels::kWords];
  const RandomKey key{r.seed, words, static_cast<uint32_t>(number)};
  detail::for_each_run(r.elements, begin, end, [&](int64_t at, uint64_t first, int64_t count) {
    kernels::Stochastically rounding{};
    rounding.words[which] = kernels::random_words(HostTeam(), key, first, count, buffer);
    run(at, count, rounding);
  });
}

template <typename M>
struct Momentum {
  int64_t n;
  double decay, take;
  bool nesterov, stochastic;
  const float* scale;
  const int64_t* number;
  float* grad;
  M* m;
  StochasticRounding rounding;

  Momentum(const op::Momentum& a, const MomentumTensor& t)
      : n(t.grad.elements()),
        decay(a.decay),
        take(a.take),
        nesterov(a.nesterov),
        stochastic(a.stochastic),
        scale(a.grad_scale.data<float>()),
        number(a.update.data<int64_t>()),
        grad(t.grad.data<float>()),
        m(t.momentum.data<M>()),
        rounding(t.rounding) {}

  void run(int64_t begin, int64_t end) const {
    if (*number == 0) return std::fill(grad + begin, grad + end, 0.0f);
    const kernels::MomentumStep step{static_cast<float>(take * static_cast<double>(*scale)),
                                     static_cast<float>(decay), nesterov};
    with_rounding(stochastic, rounding, kernels::kRoundedExpAvg, rounding.exp_avg, *number, begin,
                  end, [&](int64_t at, int64_t count, const auto& rounds) {
                    HostTeam().for_each(count,
                                        [=, g = grad + at, mean = m + at](int64_t i) WEFT_LANE {
                                          kernels::momentum_element(step, rounds, i, g[i], mean[i]);
                                        });
                  });
  }
};

template <typename D, typename C>
struct Descent {
  int64_t n;
  double lr, scale, weight_decay;
  bool stochastic;
  const int64_t* number;
  float *w, *grad;
  const D* direction;
  C* copy;  // may be null
  StochasticRounding rounding;

  Descent(const op::Descend& a, const DescentTensor& t)
      : n(t.weight.elements()),
        lr(a.lr),
        scale(t.scale),
        weight_decay(t.weight_decay),
        stochastic(a.stochastic),
        number(a.update.data<int64_t>()),
        w(t.weight.data<float>()),
        grad(t.grad.data<float>()),
        direction(t.direction.data<D>()),
        copy(detail::optional_data<C>(t.rounded)),
        rounding(t.rounding) {}

  void run(int64_t begin, int64_t end) const {
    if (*number != 0) {
      const kernels::DescentStep step{static_cast<float>(1.0 - lr * weight_decay),
                                      static_cast<float>(lr * scale)};
      HostTeam().for_each(end - begin,
                          [=, to = w + begin, from = direction + begin](int64_t i)
                              WEFT_LANE { kernels::descent_element(step, to[i], from[i]); });
      if (copy != nullptr) round(begin, end);
    }
    std::fill(grad + begin, grad + end, 0.0f);
  }
  void round(int64_t begin, int64_t end) const {
    with_rounding(stochastic, rounding, kernels::kRoundedWeight, rounding.weight, *number, begin,
                  end, [&](int64_t at, int64_t count, const auto& rounds) {
                    HostTeam().for_each(
                        count, [=, to = copy + at, from = w + at](int64_t i) WEFT_LANE {
                          to[i] = rounds.template round<C>(from[i], kernels::kRoundedWeight, i);
                        });
                  });
  }
};

template <typename Task>
void enqueue(const Task& task, Stream& stream) {
  CpuStream& cpu = cpu_stream(stream);
  cpu.run([threads = cpu.threads(), task] {
    parallel_for(threads, task.n, kGrain,
                 [&](int64_t begin, int64_t end) { task.run(begin, end); });
  });
}

}  // namespace

void CpuOps::run(const op::Momentum& args, Stream& stream) {
  const bool narrow = args.tensors.front().momentum.dtype() == DType::bf16;
  for (const MomentumTensor& tensor : args.tensors) {
    narrow ? enqueue(Momentum<Bf16>(args, tensor), stream)
           : enqueue(Momentum<float>(args, tensor), stream);
  }
}

void CpuOps::run(const op::Descend& args, Stream& stream) {
  const Tensor& rounded = args.tensors.front().rounded;
  const bool half = !rounded.empty() && rounded.dtype() == DType::f16;
  detail::with_float(args.tensors.front().direction.dtype(), [&](auto direction) {
    using D = decltype(direction);
    for (const DescentTensor& tensor : args.tensors) {
      half ? enqueue(Descent<D, F16>(args, tensor), stream)
           : enqueue(Descent<D, Bf16>(args, tensor), stream);
    }
  });
}

}  // namespace weft
