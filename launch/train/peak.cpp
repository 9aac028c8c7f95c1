#include "launch/train/peak.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <vector>

#include "core/tensor/arena.h"

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
      ops.copy(rows, t.slice(at, at + kRandomRows), stream);
    }
  }
  stream.synchronize();
}

}  // namespace

double measure_gemm_peak(Device& device, Stream& stream, Ops& ops, DType type) {
  const bool gpu = device.kind() == DeviceKind::cuda;
  const int64_t size = gpu ? 8192 : 1024;
  const DType measured = gpu ? type : DType::f32;
  constexpr int kRepeats = 8;
  using Clock = std::chrono::steady_clock;
  Arena arena("peak", device,
              3 * static_cast<size_t>(size * size) * size_of(measured) +
                  static_cast<size_t>(kRandomRows * size) * sizeof(float));
  const Shape square{size, size};
  MatmulArgs args;
  args.a = arena.allocate(square, measured);
  args.b = arena.allocate(square, measured);
  args.c = arena.allocate(square, measured);
  args.transpose_b = true;
  fill_randomly({args.a, args.b}, arena.allocate({kRandomRows, size}, DType::f32), device, ops,
                stream);
  double best = 1e30;
  for (int i = 0; i <= kRepeats; ++i) {
    const Clock::time_point begin = Clock::now();
    ops.matmul(args, stream);
    stream.synchronize();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    if (i > 0) best = std::min(best, seconds);  // the first warms up
  }
  const auto n = static_cast<double>(size);
  return 2 * n * n * n / best;
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
