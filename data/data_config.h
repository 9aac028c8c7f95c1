// DataConfig: which token files a run reads, and in which order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/fields.h"

namespace weft {

struct DataConfig {
  enum class Format { automatic, weft, llmc, megatron };
  enum class Order { windows, documents };
  friend constexpr auto enum_names(Format) {
    return named_values("auto", "weft", "llmc", "megatron");
  }
  friend constexpr auto enum_names(Order) { return named_values("windows", "documents"); }

  std::vector<std::string> train;
  std::vector<std::string> validation;
  Format format = Format::automatic;
  Order order = Order::windows;
  std::optional<int64_t> stride;

  void fields(FieldList& list) {
    list.key("train", train, TextRule::path,
             "Training data: directories written by weft prepare, or token files; relative to the "
             "current directory.");
    list.key("validation", validation, TextRule::path,
             "Held-out data for evaluation, given as for train.");
    list.key("format", format,
             "Layout of the data: auto looks at the file, weft is weft prepare's, llmc is llm.c's "
             ".bin, megatron is Megatron's .bin and .idx.");
    list.key("order", order,
             "windows: shuffled windows of the token stream; documents: shuffled documents, packed "
             "into sequences.");
    list.key_auto("stride", stride, between(1, 1 << 30), "tokens", "train.sequence_length",
                  "Distance between the starts of neighbouring windows; order: windows only.");
  }
};

}  // namespace weft
