#include "core/checkpoint/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "core/base/error.h"
#include "core/base/half.h"

namespace weft {
namespace {

constexpr int64_t kSlabBytes = int64_t{64} << 20;

template <typename T, typename Convert>
double element(const std::byte* data, size_t i, Convert&& convert) {
  T value;
  std::memcpy(&value, data + i * sizeof(T), sizeof(T));
  return static_cast<double>(convert(value));
}

double value_at(const std::byte* data, size_t i, DType dtype) {
  const auto same = [](auto v) { return v; };
  switch (dtype) {
    case DType::f32:
      return element<float>(data, i, same);
    case DType::f64:
      return element<double>(data, i, same);
    case DType::bf16:
      return element<uint16_t>(data, i, from_bf16);
    case DType::f16:
      return element<uint16_t>(data, i, from_f16);
    case DType::i32:
      return element<int32_t>(data, i, same);
    case DType::i64:
      return element<int64_t>(data, i, same);
    case DType::u8:
      return element<uint8_t>(data, i, same);
    case DType::u16:
      return element<uint16_t>(data, i, same);
  }
  fail(ErrorKind::internal, "a dtype without comparison");
}

// Adds the elements of two pieces of a tensor that differ.
void compare_values(const std::vector<std::byte>& a, const std::vector<std::byte>& b, DType dtype,
                    TensorDifference& out) {
  if (a == b) return;
  const size_t size = size_of(dtype);
  for (size_t i = 0; i * size < a.size(); ++i) {
    if (std::memcmp(a.data() + i * size, b.data() + i * size, size) == 0) continue;
    ++out.different;
    const double difference = std::abs(value_at(a.data(), i, dtype) - value_at(b.data(), i, dtype));
    out.max_difference = std::isfinite(difference) ? std::max(out.max_difference, difference)
                                                   : std::numeric_limits<double>::infinity();
  }
}

// Both tensors in boxes of whole rows.
void compare_pieces(const CheckpointReader& a, const CheckpointReader& b, const TensorInfo& info,
                    TensorDifference& out) {
  const Shape& shape = info.global_shape;
  const int64_t rows = shape.rank() == 0 ? 1 : shape[0];
  if (shape.elements() == 0) return;
  const int64_t row_bytes = shape.elements() / rows * static_cast<int64_t>(size_of(info.dtype));
  const int64_t step = std::max<int64_t>(1, kSlabBytes / row_bytes);
  std::vector<std::byte> left, right;
  for (int64_t first = 0; first < rows; first += step) {
    Box box = whole(shape);
    if (shape.rank() > 0) {
      box.offset[0] = first;
      box.extent[0] = std::min(step, rows - first);
    }
    const auto bytes = static_cast<size_t>(box.elements()) * size_of(info.dtype);
    left.resize(bytes);
    right.resize(bytes);
    a.read(info.name, info.kind, box, left.data());
    b.read(info.name, info.kind, box, right.data());
    compare_values(left, right, info.dtype, out);
  }
}

std::string describe(const TensorInfo& info) {
  return fmt::format("{}{}", name(info.dtype), to_string(info.global_shape));
}

}  // namespace

TensorComparison compare_tensors(const CheckpointReader& a, const std::string& a_name,
                                 const CheckpointReader& b, const std::string& b_name,
                                 const std::string& kind) {
  using Key = std::pair<std::string, std::string>;
  std::map<Key, std::pair<std::optional<TensorInfo>, std::optional<TensorInfo>>> all;
  for (const TensorInfo& t : a.tensors()) all[{t.name, t.kind}].first = t;
  for (const TensorInfo& t : b.tensors()) all[{t.name, t.kind}].second = t;
  TensorComparison result;
  for (const auto& [key, both] : all) {
    const auto& [left, right] = both;
    if (!kind.empty() && key.second != kind) continue;
    ++result.tensors;
    TensorDifference difference{.name = key.first, .kind = key.second, .structure = {}};
    if (!left || !right) {
      difference.structure = fmt::format("only in {}", left ? a_name : b_name);
    } else if (left->global_shape != right->global_shape || left->dtype != right->dtype) {
      difference.structure =
          fmt::format("{} in {}, {} in {}", describe(*left), a_name, describe(*right), b_name);
    } else {
      difference.elements = left->global_shape.elements();
      compare_pieces(a, b, *left, difference);
    }
    if (!difference.structure.empty() || difference.different > 0) {
      result.differences.push_back(std::move(difference));
    }
  }
  return result;
}

}  // namespace weft
