// GptConfig: the architecture of a GPT. It says nothing about ranks, data or training.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/fields.h"

namespace weft {

struct GptConfig {
  enum class Position { learned, sinusoidal };
  enum class Activation { gelu_tanh, gelu, relu };
  friend constexpr auto enum_names(Position) { return named_values("learned", "sinusoidal"); }
  friend constexpr auto enum_names(Activation) { return named_values("gelu_tanh", "gelu", "relu"); }

  std::optional<int64_t> vocab_size;
  int64_t context_length = 1024;
  int64_t layers = 12;
  int64_t heads = 12;
  int64_t width = 768;
  std::optional<int64_t> mlp_width;
  Position position = Position::learned;
  double norm_eps = 1e-5;
  Activation activation = Activation::gelu_tanh;
  bool bias = true;
  bool tied_head = true;
  double dropout = 0.0;
  double init_std = 0.02;

  int64_t mlp() const { return mlp_width.value_or(4 * width); }  // width of the MLP's inner layer
  int64_t head_dim() const { return width / heads; }

  void fields(FieldList& list);
};

}  // namespace weft
