// Element types of tensors and files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weft {

enum class DType : uint8_t { f32, f64, bf16, f16, i32, i64, u8, u16 };

size_t size_of(DType dtype);          // bytes per element
std::string_view name(DType dtype);   // "f32", "bf16", ...
DType parse_dtype(std::string_view);  // inverse of name; throws Error{input}

template <typename T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct DTypeOf<uint16_t> {
  static constexpr DType value = DType::u16;
};
template <typename T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

}  // namespace weft
