#include "launch/bench/step_bench.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "core/mesh/mesh.h"
#include "core/model/gpt_specs.h"
#include "launch/step/bf16_choice.h"
#include "launch/step/cpu_threads.h"
#include "launch/step/engine.h"
#include "launch/step/peak.h"
#include "launch/step/random_tokens.h"
#include "launch/step/rank_machine.h"

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

StepBenchResult bench_steps(const RunConfig& given, int64_t steps, Bootstrap& bootstrap) {
  using Clock = std::chrono::steady_clock;
  StepBenchResult result;
  RunConfig config = given;
  result.products = settle_bf16_products(config, "", bootstrap);
  result.ranks = bootstrap.size();
  result.threads = compute_threads(config.cpu, bootstrap);
  RankMachine machine(config, result.threads, bootstrap);
  result.device = machine.device->description();
  OperationTimer timer(*machine.device);
  Mesh mesh(machine.groups(), config.mesh.shape(bootstrap.size()), {},
            config.pipeline.chain_shape());
  const auto admit = [&](const std::vector<SegmentBytes>& plan) {
    const bool own_memory = machine.device->free_bytes().has_value();
    for (const SegmentBytes& s : plan) {
      if (!own_memory || !s.of_host) result.planned_bytes += static_cast<int64_t>(s.bytes);
    }
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
  JobPeak peak(*machine.device, *machine.compute, type, config.cpu.bf16_products, bootstrap);
  result.published_peak = published_peak(result.device, type);
  {
    const std::optional<size_t> free_before = machine.device->free_bytes();
    Engine engine(config, machine.resources(mesh, *machine.ops), admit);
    result.parameters = engine.parameters().global_elements();
    for (int i = 0; i < kWarmUp; ++i) step(engine);
    std::vector<double> times;
    Contention contention;
    for (int64_t i = 0; i < steps; ++i) times.push_back(step(engine));
    result.cores = contention.look();
    std::sort(times.begin(), times.end());
    result.min_seconds = times.front();
    result.median_seconds = times[times.size() / 2];
    result.max_seconds = times.back();
    result.tokens_per_step = config.train.batch_size * config.sequence_length();
    result.flops_per_second = static_cast<double>(result.tokens_per_step) / result.median_seconds *
                              flops_per_token(config.model, config.sequence_length());
    peak.reached(result.flops_per_second * result.median_seconds / result.min_seconds);
    peak.keep();
    result.gemm_peak = peak.flops_per_second();
    const GptConfig& m = config.model;
    result.masked_flops_per_second =
        6.0 * static_cast<double>(m.layers * m.width * config.sequence_length()) *
        static_cast<double>(result.tokens_per_step) / result.median_seconds;
    result.peak_resident_bytes = peak_resident_bytes();
    if (free_before) {
      result.device_bytes =
          static_cast<int64_t>(*free_before) - static_cast<int64_t>(*machine.device->free_bytes());
    }
  }
  machine.ops->observe(&timer);
  RankResources one_by_one = machine.resources(mesh, *machine.ops);
  one_by_one.recorder = nullptr;
  Engine engine(config, one_by_one, [](const std::vector<SegmentBytes>&) {});
  engine.restore({.made = update});
  step(engine);
  timer.reset();
  for (int i = 0; i < kTimedSteps; ++i) step(engine);
  result.operations = timer.times();
  for (OperationTime& time : result.operations) {
    time.calls /= kTimedSteps;
    for (double* sum : {&time.seconds, &time.flops, &time.bytes}) *sum /= kTimedSteps;
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

std::array<double, kOpFamilies.size()> family_seconds(const StepBenchResult& r) {
  std::array<double, kOpFamilies.size()> seconds{};
  for (const OperationTime& o : r.operations) seconds[static_cast<size_t>(o.family)] += o.seconds;
  return seconds;
}

std::string operations_text(const StepBenchResult& r) {
  std::string text = "\n   ms/step  calls         rate  operation\n";
  for (const OperationTime& o : r.operations) {
    if (o.seconds < 1e-3 * r.median_seconds) continue;
    const std::string rate = o.flops > 0 ? fmt::format("{:.1f} GFLOP/s", 1e-9 * o.flops / o.seconds)
                             : o.bytes > 0 ? fmt::format("{:.1f} GB/s", 1e-9 * o.bytes / o.seconds)
                                           : "";
    text += fmt::format("{:10.3f} {:6} {:>16}  {} {}\n", 1e3 * o.seconds, o.calls, rate, o.name,
                        o.shapes);
  }
  return text;
}

}  // namespace

std::string to_text(const StepBenchResult& r, bool operations) {
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
  if (!r.products.empty()) text += r.products + "\n";
  if (r.cores && r.cores->busy()) {
    text +=
        fmt::format("BUSY MACHINE: {}: these figures are not the machine's\n", to_text(*r.cores));
  }
  if (r.device_bytes) {
    text +=
        fmt::format("GPU memory taken {:.1f} MiB\n", static_cast<double>(*r.device_bytes) / kMib);
  }
  const std::array<double, kOpFamilies.size()> families = family_seconds(r);
  for (size_t f = 0; f < families.size(); ++f) {
    text += fmt::format("  {:<12} {:8.2f} ms  {:5.1f} %\n", kOpFamilies[f], families[f] * 1e3,
                        100 * families[f] / r.median_seconds);
  }
  return operations ? text + operations_text(r) : text;
}

std::string to_json(const StepBenchResult& r) {
  std::string families;
  const std::array<double, kOpFamilies.size()> seconds = family_seconds(r);
  for (size_t f = 0; f < seconds.size(); ++f) {
    families += fmt::format("{}\"{}\":{:.6f}", f == 0 ? "" : ",", kOpFamilies[f], seconds[f]);
  }
  std::string operations;
  for (const OperationTime& o : r.operations) {
    operations += fmt::format(
        "{}{{\"name\":\"{}\",\"shapes\":\"{}\",\"calls\":{},\"seconds\":{:.9f},\"flops\":{:.6e},"
        "\"bytes\":{:.6e}}}",
        operations.empty() ? "" : ",", o.name, o.shapes, o.calls, o.seconds, o.flops, o.bytes);
  }
  return fmt::format(
      "{{\"parameters\":{},\"ranks\":{},\"threads\":{},\"tokens_per_step\":{},"
      "\"median_seconds\":{:.6f},\"min_seconds\":{:.6f},\"max_seconds\":{:.6f},"
      "\"tokens_per_second\":{:.3f},\"flops_per_second\":{:.4e},\"gemm_peak\":{:.4e},"
      "\"core_wait\":{:.3f},\"core_stolen\":{:.3f},"
      "\"causal_flops_per_second\":{:.4e},\"published_peak\":{:.4e},\"device\":\"{}\","
      "\"planned_bytes\":{},\"peak_resident_bytes\":{},\"device_bytes\":{},"
      "\"family_seconds\":{{{}}},\"operations\":[{}]}}\n",
      r.parameters, r.ranks, r.threads, r.tokens_per_step, r.median_seconds, r.min_seconds,
      r.max_seconds, static_cast<double>(r.tokens_per_step) / r.median_seconds, r.flops_per_second,
      r.gemm_peak, r.cores ? r.cores->waiting : 0, r.cores ? r.cores->stolen : 0,
      r.flops_per_second - r.masked_flops_per_second,
      r.published_peak ? r.published_peak->flops_per_second * r.ranks : 0.0, r.device,
      r.planned_bytes, r.peak_resident_bytes, r.device_bytes.value_or(0), families, operations);
}

}  // namespace weft
