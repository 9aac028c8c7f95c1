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

  void fields(FieldList& list);
};

}  // namespace weft
