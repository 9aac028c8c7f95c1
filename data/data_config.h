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
  enum class Verify { once, always, never };
  friend constexpr auto enum_names(Format) {
    return named_values("auto", "weft", "llmc", "megatron");
  }
  friend constexpr auto enum_names(Order) { return named_values("windows", "documents"); }
  friend constexpr auto enum_names(Verify) { return named_values("once", "always", "never"); }

  std::vector<std::string> train;
  std::vector<std::string> validation;
  Format format = Format::automatic;
  Order order = Order::windows;
  std::optional<int64_t> stride;
  Verify verify = Verify::once;

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
    list.key("verify", verify,
             "When files are read through to be held to their digests. once: at the first start "
             "with a file, and again when its size, inode or times have changed; always: at every "
             "start; never: not at all, but for what files of other programs do not record.");
  }
};

}  // namespace weft
