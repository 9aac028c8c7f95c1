#include "launch/interchange/gpt2_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>
#include <set>

#include "core/base/error.h"
#include "core/base/half.h"
#include "core/base/strict_json.h"

namespace weft {
namespace {

constexpr char kEmbedding[] = "wte.weight";

std::string_view without_prefix(std::string_view name) {
  return name.starts_with(kGpt2Prefix) ? name.substr(kGpt2Prefix.size()) : name;
}

// Buffers of causal masks, which old files hold.
bool is_mask(std::string_view name) {
  return name.starts_with("h.") &&
         (name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias"));
}

// With the prefix or without; a file with both is refused by require_gpt2.
const SafetensorsEntry* find(const SafetensorsModel& file, const std::string& name) {
  const SafetensorsEntry* entry = file.find(std::string(kGpt2Prefix) + name);
  return entry == nullptr ? file.find(name) : entry;
}

bool becomes_f32(const SafetensorsEntry& entry) {
  return entry.dtype == DType::f32 || entry.dtype == DType::bf16 || entry.dtype == DType::f16;
}

std::string describe(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

void require_tensor(const SafetensorsModel& file, const Gpt2Tensor& tensor) {
  const SafetensorsEntry* entry = find(file, tensor.name);
  if (entry == nullptr) {
    fail(ErrorKind::input, "the weights lack tensor {}, which the model needs", tensor.name);
  }
  const std::string& path = file.path_of(*entry);
  if (entry->shape != tensor.shape) {
    const bool turned = tensor.transposed && entry->shape.size() == 2 &&
                        entry->shape[0] == tensor.shape[1] && entry->shape[1] == tensor.shape[0];
    fail(ErrorKind::input, "{}: {} is {}, the model needs {}{}", path, tensor.name,
         describe(entry->shape), describe(tensor.shape),
         turned ? "; it is transposed: GPT-2 keeps this matrix as [in, out]" : "");
  }
  if (!becomes_f32(*entry)) {
    fail(ErrorKind::input, "{}: {} is {}; weights may be F32, BF16 or F16", path, tensor.name,
         printable(entry->type));
  }
}

std::vector<float> as_floats(const SafetensorsModel& file, const SafetensorsEntry& entry) {
  std::vector<std::byte> bytes(entry.bytes());
  file.read(entry, bytes);
  std::vector<float> values(bytes.size() / size_of(*entry.dtype));
  if (entry.dtype == DType::f32) {
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t bits;
    std::memcpy(&bits, bytes.data() + i * sizeof(bits), sizeof(bits));
    values[i] = entry.dtype == DType::bf16 ? from_bf16(bits) : from_f16(bits);
  }
  return values;
}

// A head that is stored although it is tied must be the embedding.
void require_tied(const SafetensorsModel& file) {
  const SafetensorsEntry* head = find(file, kGpt2Head);
  const SafetensorsEntry* table = find(file, kEmbedding);
  if (head == nullptr || table == nullptr) return;
  bool equal = head->shape == table->shape && head->type == table->type;
  if (equal) {
    std::vector<std::byte> a(head->bytes()), b(table->bytes());
    file.read(*head, a);
    file.read(*table, b);
    equal = a == b;
  }
  if (!equal) {
    fail(ErrorKind::input,
         "{}: {} is not {}, so the head is not tied; set model.tied_head to false in --config, or "
         "tie_word_embeddings in config.json",
         file.path_of(*head), kGpt2Head, kEmbedding);
  }
}

}  // namespace

void require_gpt2(const SafetensorsModel& file, const GptConfig& config) {
  std::set<std::string, std::less<>> known;
  for (const Gpt2Tensor& tensor : gpt2_tensors(config)) {
    require_tensor(file, tensor);
    known.insert(tensor.name);
  }
  if (config.tied_head) {
    require_tied(file);
    known.insert(kGpt2Head);
  }
  std::set<std::string_view> seen;
  for (const SafetensorsEntry& entry : file.tensors()) {
    const std::string_view name = without_prefix(entry.name);
    if (!seen.insert(name).second) {
      fail(ErrorKind::input, "{}: has tensor {} with and without the prefix {}",
           file.path_of(entry), printable(name), kGpt2Prefix);
    }
    if (known.contains(name) || is_mask(name)) continue;
    fail(ErrorKind::input, "{}: tensor '{}' has no place in the model; is it a GPT-2 of this size?",
         file.path_of(entry), printable(entry.name));
  }
}

std::vector<float> read_gpt2(const SafetensorsModel& file, const Gpt2Tensor& tensor) {
  std::vector<float> values = as_floats(file, *find(file, tensor.name));
  if (!tensor.transposed) return values;
  std::vector<float> turned(values.size());
  transpose(values.data(), tensor.shape[0], tensor.shape[1], turned.data());
  return turned;
}

int64_t gpt2_vocabulary(const SafetensorsModel& file) {
  const SafetensorsEntry* table = find(file, kEmbedding);
  if (table == nullptr || table->shape.size() != 2 || table->shape[0] < 1) {
    fail(ErrorKind::input, "the weights have no matrix {}; are they a GPT-2?", kEmbedding);
  }
  return table->shape[0];
}

}  // namespace weft
