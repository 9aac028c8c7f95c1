// Writing safetensors files.
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "core/base/error.h"
#include "core/base/json_text.h"
#include "core/interchange/safetensors.h"

namespace weft {
namespace {

constexpr size_t kAlignment = 8;

const char* type_name(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "F32";
    case DType::f64:
      return "F64";
    case DType::bf16:
      return "BF16";
    case DType::f16:
      return "F16";
    case DType::i32:
      return "I32";
    case DType::i64:
      return "I64";
    case DType::u8:
      return "U8";
    case DType::u16:
      return "U16";
  }
  fail(ErrorKind::internal, "a dtype without a safetensors name");
}

}  // namespace

int64_t SafetensorsTensor::bytes() const {
  auto bytes = static_cast<int64_t>(size_of(dtype));
  for (const int64_t extent : shape) bytes *= extent;
  return bytes;
}

void sort_for_safetensors(std::vector<SafetensorsTensor>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    const size_t a_size = size_of(a.dtype), b_size = size_of(b.dtype);
    return std::tie(b_size, a.name) < std::tie(a_size, b.name);
  });
}

std::string safetensors_head(const std::vector<SafetensorsTensor>& tensors) {
  nlohmann::ordered_json json;
  json["__metadata__"]["format"] = "pt";  // without it Hugging Face's loader refuses the file
  int64_t at = 0;
  for (const SafetensorsTensor& t : tensors) {
    const int64_t end = at + t.bytes();
    json[t.name] = {{"dtype", type_name(t.dtype)}, {"shape", t.shape}, {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text = json_text(json);
  text.resize((text.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
  const uint64_t length = text.size();
  std::string head(sizeof(length), '\0');
  std::memcpy(head.data(), &length, sizeof(length));
  return head + text;
}

void write_safetensors(
    const std::string& path, const std::vector<SafetensorsTensor>& tensors,
    const std::function<void(const SafetensorsTensor&, std::span<std::byte>)>& fill) {
  FileWriter writer(nullptr);
  FileDescriptor file = writer.create(path);
  const std::string head = safetensors_head(tensors);
  writer.write_at(file, 0, std::as_bytes(std::span(head)), path);
  auto at = static_cast<int64_t>(head.size());
  std::vector<std::byte> data;
  for (const SafetensorsTensor& t : tensors) {
    data.resize(static_cast<size_t>(t.bytes()));
    fill(t, data);
    writer.write_at(file, at, data, path);
    at += t.bytes();
  }
  writer.sync(file, path);
  writer.close(std::move(file), path);
}

}  // namespace weft
