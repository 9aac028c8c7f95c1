#include "core/base/dtype.h"

#include <array>
#include <utility>

#include "core/base/error.h"

namespace weft {
namespace {

struct Row {
  DType dtype;
  size_t size;
  std::string_view name;
};

constexpr std::array<Row, 8> kRows{{{DType::f32, 4, "f32"},
                                    {DType::f64, 8, "f64"},
                                    {DType::bf16, 2, "bf16"},
                                    {DType::f16, 2, "f16"},
                                    {DType::i32, 4, "i32"},
                                    {DType::i64, 8, "i64"},
                                    {DType::u8, 1, "u8"},
                                    {DType::u16, 2, "u16"}}};

const Row& row(DType dtype) { return kRows[static_cast<size_t>(dtype)]; }

}  // namespace

size_t size_of(DType dtype) { return row(dtype).size; }

std::string_view name(DType dtype) {
  const auto number = static_cast<size_t>(dtype);
  return number < kRows.size() ? kRows[number].name : "unknown type";
}

DType parse_dtype(std::string_view text) {
  for (const Row& r : kRows) {
    if (r.name == text) return r.dtype;
  }
  fail(ErrorKind::input, "unknown element type '{}'; known: f32 f64 bf16 f16 i32 i64 u8 u16", text);
}

}  // namespace weft
