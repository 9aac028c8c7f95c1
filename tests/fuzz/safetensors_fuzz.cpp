// Headers of safetensors files: two bytes for the size of the data section, then the JSON.
#include <string_view>

#include "core/base/error.h"
#include "core/interchange/safetensors.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft;
  if (size < 2) return 0;
  const int64_t data_bytes = data[0] | data[1] << 8;
  const std::string_view json(reinterpret_cast<const char*>(data) + 2, size - 2);
  try {
    const SafetensorsHeader header = parse_safetensors_header(json, data_bytes, "fuzz");
    int64_t at = 0;
    for (const SafetensorsEntry& entry : header.tensors) {
      require(entry.begin == at && entry.end >= at, "tensors that do not tile the data");
      at = entry.end;
      int64_t elements = 1;
      for (const int64_t extent : entry.shape) {
        require(extent >= 0 && !__builtin_mul_overflow(elements, extent, &elements),
                "a shape that overflows");
      }
    }
    require(at == data_bytes, "tensors that end elsewhere than the data");
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::input, error.what());
  }
  return 0;
}
