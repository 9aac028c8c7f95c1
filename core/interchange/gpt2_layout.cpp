#include "core/interchange/gpt2_layout.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "core/base/error.h"
#include "core/model/gpt_specs.h"

namespace weft {
namespace {

// weft's layer -> Hugging Face's, all of them Conv1D.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kConv1d{
    {{".attn.qkv.", ".attn.c_attn."},
     {".attn.projection.", ".attn.c_proj."},
     {".mlp.up.", ".mlp.c_fc."},
     {".mlp.down.", ".mlp.c_proj."}}};

Gpt2Tensor describe(const ParamSpec& spec) {
  Gpt2Tensor t{.spec = spec, .name = spec.name, .shape = {spec.shape.begin(), spec.shape.end()}};
  for (const auto& [ours, theirs] : kConv1d) {
    const size_t at = t.name.find(ours);
    if (at == std::string::npos) continue;
    t.name.replace(at, ours.size(), theirs);
    t.transposed = spec.shape.rank() == 2;
    if (t.transposed) std::swap(t.shape[0], t.shape[1]);
    break;
  }
  return t;
}

}  // namespace

std::vector<Gpt2Tensor> gpt2_tensors(const GptConfig& config) {
  std::vector<Gpt2Tensor> tensors;
  for (const ParamSpec& spec : gpt_specs(config)) tensors.push_back(describe(spec));
  return tensors;
}

void transpose(const float* in, int64_t rows, int64_t columns, float* out) {
  constexpr int64_t kTile = 32;  // both tiles stay in the first-level cache
  for (int64_t r0 = 0; r0 < rows; r0 += kTile) {
    for (int64_t c0 = 0; c0 < columns; c0 += kTile) {
      for (int64_t r = r0; r < std::min(rows, r0 + kTile); ++r) {
        for (int64_t c = c0; c < std::min(columns, c0 + kTile); ++c) {
          out[c * rows + r] = in[r * columns + c];
        }
      }
    }
  }
}

}  // namespace weft
