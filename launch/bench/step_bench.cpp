#include "launch/bench/step_bench.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>

#include "core/dist/mesh.h"
#include "launch/bench/family_timer.h"
#include "launch/train/cpu_threads.h"
#include "launch/train/engine.h"
#include "launch/train/peak.h"
#include "launch/train/random_tokens.h"
#include "launch/train/rank_machine.h"

namespace weft {
namespace {

constexpr int kWarmUp = 2;
constexpr int kTimedSteps = 3;

int64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} << 10;
}

}  // namespace

StepBenchResult bench_steps(const RunConfig& config, int64_t steps, Bootstrap& bootstrap) {
  using Clock = std::chrono::steady_clock;
  StepBenchResult result;
  result.ranks = bootstrap.size();
  result.threads = compute_threads(config.cpu, bootstrap.local_size());
  RankMachine machine(config, result.threads, bootstrap);
  result.device = machine.device->description();
  FamilyTimer timer;
  const auto timed = make_observed(*machine.ops, timer);
  Mesh mesh(machine.groups(), config.mesh.shape(bootstrap.size()));
  const auto admit = [&](const std::vector<SegmentBytes>& plan) {
    for (const SegmentBytes& s : plan) result.planned_bytes += static_cast<int64_t>(s.bytes);
  };
  const FillSample fill = random_tokens(*config.model.vocab_size);
  int64_t update = 0;
  const auto step = [&](Engine& engine) {
    const Clock::time_point begin = Clock::now();
    engine.step(update + 1, 1e-4, update * config.train.batch_size, fill, false);
    ++update;
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  bootstrap.barrier();
  const DType type = config.compute_type();
  result.gemm_peak =
      measure_gemm_peak(*machine.device, *machine.compute, *machine.ops, type) * bootstrap.size();
  result.published_peak = published_peak(result.device, type);
  {
    Engine engine(config, machine.resources(mesh, *machine.ops), admit);
    result.parameters = engine.parameters().global_elements();
    for (int i = 0; i < kWarmUp; ++i) step(engine);
    std::vector<double> times;
    for (int64_t i = 0; i < steps; ++i) times.push_back(step(engine));
    std::sort(times.begin(), times.end());
    result.min_seconds = times.front();
    result.median_seconds = times[times.size() / 2];
    result.max_seconds = times.back();
    result.tokens_per_step = config.train.batch_size * config.sequence_length();
    result.flops_per_second = static_cast<double>(result.tokens_per_step) / result.median_seconds *
                              engine.model().flops_per_token(config.sequence_length());
    const GptConfig& m = config.model;
    result.masked_flops_per_second =
        6.0 * static_cast<double>(m.layers * m.width * config.sequence_length()) *
        static_cast<double>(result.tokens_per_step) / result.median_seconds;
    result.peak_resident_bytes = peak_resident_bytes();
  }
  Engine engine(config, machine.resources(mesh, *timed), [](const std::vector<SegmentBytes>&) {});
  engine.restore({.made = update});
  step(engine);
  timer.reset();
  for (int i = 0; i < kTimedSteps; ++i) step(engine);
  for (size_t f = 0; f < kOpFamilies.size(); ++f) {
    result.families.push_back({std::string(kOpFamilies[f]), timer.seconds(f) / kTimedSteps});
  }
  return result;
}

namespace {

// Utilization by the maker's figure, in both conventions; nothing where that is not known.
std::string model_flops_text(const StepBenchResult& r) {
  if (!r.published_peak) return {};
  const double peak = r.published_peak->flops_per_second * r.ranks;
  return fmt::format(
      "\nMFU {:.1f} % (6N + 12LCT), {:.1f} % (causal: 6N + 6LCT) of {:.1f} TFLOP/s a GPU ({})",
      100 * r.flops_per_second / peak,
      100 * (r.flops_per_second - r.masked_flops_per_second) / peak,
      r.published_peak->flops_per_second / 1e12, r.published_peak->source);
}

}  // namespace

std::string to_text(const StepBenchResult& r) {
  constexpr double kMib = 1 << 20;
  std::string text = fmt::format(
      "{:.1f}M parameters, {} rank{} x {} thread{}, {} tokens per step\n"
      "{:.1f} tokens/s   {:.2f} ms per step (median; min {:.2f}, max {:.2f})\n"
      "{:.1f} GFLOP/s (6N + 12LCT per token), {:.1f} % of the measured GEMM peak of {:.1f}{}\n"
      "planned memory {:.1f} MiB per rank, peak resident {:.1f} MiB\n",
      static_cast<double>(r.parameters) / 1e6, r.ranks, r.ranks == 1 ? "" : "s", r.threads,
      r.threads == 1 ? "" : "s", r.tokens_per_step,
      static_cast<double>(r.tokens_per_step) / r.median_seconds, r.median_seconds * 1e3,
      r.min_seconds * 1e3, r.max_seconds * 1e3, r.flops_per_second / 1e9,
      100 * r.flops_per_second / r.gemm_peak, r.gemm_peak / 1e9, model_flops_text(r),
      static_cast<double>(r.planned_bytes) / kMib,
      static_cast<double>(r.peak_resident_bytes) / kMib);
  for (const FamilyTime& f : r.families) {
    text += fmt::format("  {:<12} {:8.2f} ms  {:5.1f} %\n", f.family, f.seconds * 1e3,
                        100 * f.seconds / r.median_seconds);
  }
  return text;
}

std::string to_json(const StepBenchResult& r) {
  std::string families;
  for (const FamilyTime& f : r.families) {
    families += fmt::format("{}\"{}\":{:.6f}", families.empty() ? "" : ",", f.family, f.seconds);
  }
  return fmt::format(
      "{{\"parameters\":{},\"ranks\":{},\"threads\":{},\"tokens_per_step\":{},"
      "\"median_seconds\":{:.6f},\"min_seconds\":{:.6f},\"max_seconds\":{:.6f},"
      "\"tokens_per_second\":{:.3f},\"flops_per_second\":{:.4e},\"gemm_peak\":{:.4e},"
      "\"causal_flops_per_second\":{:.4e},\"published_peak\":{:.4e},\"device\":\"{}\","
      "\"planned_bytes\":{},\"peak_resident_bytes\":{},\"family_seconds\":{{{}}}}}\n",
      r.parameters, r.ranks, r.threads, r.tokens_per_step, r.median_seconds, r.min_seconds,
      r.max_seconds, static_cast<double>(r.tokens_per_step) / r.median_seconds, r.flops_per_second,
      r.gemm_peak, r.flops_per_second - r.masked_flops_per_second,
      r.published_peak ? r.published_peak->flops_per_second * r.ranks : 0.0, r.device,
      r.planned_bytes, r.peak_resident_bytes, families);
}

}  // namespace weft
