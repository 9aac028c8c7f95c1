#include "launch/step/peak.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <initializer_list>
#include <map>
#include <utility>
#include <vector>

#include "core/backends/backends.h"
#include "core/tensor/arena.h"
#include "launch/host/machine.h"
#include "launch/host/version.h"

namespace weft {

namespace {

constexpr int64_t kRandomRows = 128;

// The same random rows again and again. A GPU is faster on numbers that are alike, whose bits do
// not flip, than on those of a model.
void fill_randomly(std::initializer_list<Tensor> tensors, const Tensor& rows, Device& device,
                   Ops& ops, Stream& stream) {
  std::vector<float> values(static_cast<size_t>(rows.elements()));
  uint32_t state = 1;
  for (float& v : values) {
    state = 1664525 * state + 1013904223;
    v = static_cast<float>(state >> 8) * 0x1p-24f - 0.5f;
  }
  device.copy_to_device(rows.raw(), values.data(), rows.bytes(), stream);
  for (const Tensor& t : tensors) {
    for (int64_t at = 0; at < t.shape()[0]; at += kRandomRows) {
      ops(op::Copy{.from = rows, .to = t.slice(at, at + kRandomRows)}, stream);
    }
  }
  stream.synchronize();
}

}  // namespace

double measure_gemm_peak(Device& device, Stream& stream, Ops& ops, DType type, double seconds) {
  using Clock = std::chrono::steady_clock;
  const bool gpu = device.kind() == DeviceKind::cuda;
  const int64_t size = gpu ? 8192 : 1024;
  constexpr int kRepeats = 8;
  constexpr double kVain = 0.1;  // seconds
  Arena arena("peak", device,
              3 * static_cast<size_t>(size * size) * size_of(type) +
                  static_cast<size_t>(kRandomRows * size) * sizeof(float));
  const Shape square{size, size};
  op::Matmul args;
  args.a = arena.allocate(square, type);
  args.b = arena.allocate(square, type);
  args.c = arena.allocate(square, type);
  args.transpose_b = true;
  fill_randomly({args.a, args.b}, arena.allocate({kRandomRows, size}, DType::f32), device, ops,
                stream);
  const auto since = [](Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  // On a CPU all rows at once and fewer, in turns: those stay in the caches, and the smallest is
  // done within a time slice, before other work can get between.
  const std::vector<int64_t> rows = gpu ? std::vector{size} : std::vector{size, size / 2, size / 8};
  double best = 0;
  const Clock::time_point start = Clock::now();
  Clock::time_point found = start;
  for (int i = 0; i <= kRepeats || (!gpu && since(start) < seconds && since(found) < kVain); ++i) {
    op::Matmul now = args;
    const int64_t m = rows[static_cast<size_t>(i) % rows.size()];
    now.a = args.a.slice(0, m);
    now.c = args.c.slice(0, m);
    const Clock::time_point begin = Clock::now();
    ops(now, stream);
    stream.synchronize();
    const double rate = now.cost().flops / since(begin);
    if (i < static_cast<int>(rows.size()) || rate <= best) continue;  // the first warm up
    best = rate;
    found = Clock::now();
  }
  return best;
}

JobPeak::JobPeak(Device& device, Stream& stream, DType type, Bf16Products products,
                 Bootstrap& bootstrap, PeakFile file)
    : file_(std::move(file)), keeps_(bootstrap.local_rank() == 0) {
  const Machine machine = read_machine();
  const char* isa = std::getenv("DNNL_MAX_CPU_ISA");
  key_ =
      fmt::format("{} | {} | {} | {}{}{} | {} ranks there | weft {}", machine.host,
                  machine.cpu_model, device.description(), name(type),
                  type == DType::bf16 && products == Bf16Products::native ? " native" : "",
                  isa == nullptr ? "" : fmt::format(" {}", isa), bootstrap.local_size(), version());
  const std::unique_ptr<Ops> ops = make_ops(device);  // its working memory is not the plan's
  const double kept = file_.get(key_);
  constexpr double kWell = 1.0, kShortly = 0.0;
  own_ = std::max(kept, measure_gemm_peak(device, stream, *ops, type, kept > 0 ? kShortly : kWell));
  // Ranks with the same key are alike, and the best of them is the peak of each.
  std::map<std::string, std::pair<int, double>> alike;  // by key: how many, and the best
  for (const std::string& text : bootstrap.all_gather(fmt::format("{} {}", own_, key_))) {
    const size_t blank = text.find(' ');
    auto& [ranks, best] = alike[text.substr(blank + 1)];
    ++ranks;
    best = std::max(best, std::strtod(text.substr(0, blank).c_str(), nullptr));
  }
  for (const auto& [key, found] : alike) all_ += found.first * found.second;
  own_ = alike[key_].second;
  keep();
}

void JobPeak::reached(double flops_per_second) {
  if (flops_per_second <= all_) return;
  own_ *= flops_per_second / all_;
  all_ = flops_per_second;
}

void JobPeak::keep() const {
  if (keeps_) file_.raise(key_, own_);
}

std::optional<PublishedPeak> published_peak(const std::string& description, DType type) {
  struct Row {
    const char* name;
    double tensor;  // bf16 and f16, dense
    double f32;     // without TF32
  };
  constexpr Row kRows[] = {{"H200", 989.4e12, 66.9e12},
                           {"H100 PCIe", 756.0e12, 51.0e12},
                           {"H100", 989.4e12, 66.9e12},
                           {"A100", 312.0e12, 19.5e12}};
  for (const Row& row : kRows) {
    if (description.find(row.name) == std::string::npos) continue;
    const bool narrow = type == DType::bf16 || type == DType::f16;
    return PublishedPeak{
        narrow ? row.tensor : row.f32,
        fmt::format("NVIDIA's data sheet of the {}, {} dense", row.name, name(type))};
  }
  return std::nullopt;
}

}  // namespace weft
