#include "core/interchange/llmc_model.h"

#include <array>
#include <charconv>
#include <string_view>

#include "core/base/error.h"
#include "core/base/half.h"
#include "core/interchange/input.h"

namespace weft {
namespace {

constexpr int32_t kMagic = 20240326;
constexpr int32_t kVersionF32 = 3;
constexpr int32_t kVersionBf16 = 5;
constexpr size_t kHeaderInts = 256;
constexpr int64_t kHeaderBytes = kHeaderInts * sizeof(int32_t);

// The kinds of tensors in the order of the file; those of a layer once for each layer.
struct Kind {
  std::string_view name;  // without "h.N."
  bool per_layer;
  int64_t elements;
};

std::vector<Kind> kinds(const GptConfig& c, int64_t padded_vocabulary) {
  const int64_t w = c.width;
  return {{"wte.weight", false, padded_vocabulary * w},
          {"wpe.weight", false, c.context_length * w},
          {"ln_1.weight", true, w},
          {"ln_1.bias", true, w},
          {"attn.qkv.weight", true, 3 * w * w},
          {"attn.qkv.bias", true, 3 * w},
          {"attn.projection.weight", true, w * w},
          {"attn.projection.bias", true, w},
          {"ln_2.weight", true, w},
          {"ln_2.bias", true, w},
          {"mlp.up.weight", true, 4 * w * w},
          {"mlp.up.bias", true, 4 * w},
          {"mlp.down.weight", true, 4 * w * w},
          {"mlp.down.bias", true, w},
          {"ln_f.weight", false, w},
          {"ln_f.bias", false, w}};
}

int64_t total_elements(const GptConfig& c, int64_t padded_vocabulary) {
  int64_t sum = 0;
  for (const Kind& k : kinds(c, padded_vocabulary)) {
    sum += k.elements * (k.per_layer ? c.layers : 1);
  }
  return sum;
}

// "h.3.ln_1.bias" as layer 3 and "ln_1.bias"; layer 0 for what lies in none.
std::pair<int64_t, std::string_view> layer_and_kind(std::string_view name) {
  if (!name.starts_with("h.")) return {0, name};
  int64_t layer = 0;
  const char* end = std::from_chars(name.data() + 2, name.data() + name.size(), layer).ptr;
  return {layer, name.substr(static_cast<size_t>(end - name.data()) + 1)};
}

int64_t in_range(int32_t value, const char* what, int64_t max, const std::string& path) {
  if (value < 1 || value > max) {
    fail(ErrorKind::input, "{}: the header is damaged: {} is {}", path, what, value);
  }
  return value;
}

}  // namespace

LlmcModel LlmcModel::open(const std::string& path) {
  LlmcModel model;
  model.path_ = path;
  model.file_ = open_input(path);
  const int64_t size = file_size(model.file_, path);
  if (size < kHeaderBytes) fail(ErrorKind::input, "{}: {} bytes are no llm.c model", path, size);
  std::array<int32_t, kHeaderInts> header{};
  read_at(model.file_, 0, std::as_writable_bytes(std::span(header)), path);
  if (header[0] != kMagic) {
    fail(ErrorKind::input, "{}: begins with {}, a model of llm.c with {}", path, header[0], kMagic);
  }
  if (header[1] != kVersionF32 && header[1] != kVersionBf16) {
    fail(ErrorKind::input,
         "{}: version {} of an llm.c model; weft reads 3 (f32) and 5 (bf16), which newer versions "
         "of llm.c write",
         path, header[1]);
  }
  model.element_bytes_ = header[1] == kVersionF32 ? 4 : 2;
  GptConfig& c = model.config_;
  c.context_length = in_range(header[2], "the longest sequence", 1 << 20, path);
  c.vocab_size = in_range(header[3], "the vocabulary", std::numeric_limits<int32_t>::max(), path);
  c.layers = in_range(header[4], "the number of layers", 10000, path);
  c.heads = in_range(header[5], "the number of heads", 4096, path);
  c.width = in_range(header[6], "the width", 1 << 18, path);
  model.padded_vocabulary_ =
      in_range(header[7], "the padded vocabulary", std::numeric_limits<int32_t>::max(), path);
  if (model.padded_vocabulary_ < *c.vocab_size || c.width % c.heads != 0) {
    fail(ErrorKind::input,
         "{}: the header is damaged: vocabulary {} padded to {}, {} heads of width {}", path,
         *c.vocab_size, model.padded_vocabulary_, c.heads, c.width);
  }
  const int64_t expected =
      kHeaderBytes + total_elements(c, model.padded_vocabulary_) * model.element_bytes_;
  if (size != expected) {
    fail(ErrorKind::input, "{}: has {} bytes, its header promises {}{}", path, size, expected,
         size < expected ? "; it has been cut short" : "");
  }
  return model;
}

std::vector<float> LlmcModel::read(const ParamSpec& spec) const {
  const auto [layer, wanted] = layer_and_kind(spec.name);
  int64_t first = 0;  // elements before the tensor
  bool found = false;
  for (const Kind& k : kinds(config_, padded_vocabulary_)) {
    found = k.name == wanted;
    if (found) break;
    first += k.elements * (k.per_layer ? config_.layers : 1);
  }
  WEFT_CHECK(found, "llm.c models have no tensor {}", spec.name);
  const int64_t count = spec.shape.elements();
  const int64_t at = kHeaderBytes + (first + layer * count) * element_bytes_;
  std::vector<float> values(static_cast<size_t>(count));
  if (element_bytes_ == 4) {
    read_at(file_, at, std::as_writable_bytes(std::span(values)), path_);
    return values;
  }
  std::vector<uint16_t> halves(values.size());
  read_at(file_, at, std::as_writable_bytes(std::span(halves)), path_);
  for (size_t i = 0; i < halves.size(); ++i) values[i] = from_bf16(halves[i]);
  return values;
}

}  // namespace weft
