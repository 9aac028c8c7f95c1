#include "core/mesh/upload.h"

#include <vector>

#include "core/base/error.h"
#include "core/device/cpu/parallel_for.h"
#include "core/kernels/storage.h"

namespace weft {
namespace {

template <typename S, typename T>
void upload_as(std::span<const T> values, const Tensor& to, Device& device, Stream& stream) {
  std::vector<S> stored(values.size());
  const auto count = static_cast<int64_t>(values.size());
  parallel_for(device.threads(), count, 16384, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      stored[i] = kernels::store<S>(values[i]);
    }
  });
  device.copy_to_device(to.raw(), stored.data(), to.bytes(), stream);
  stream.synchronize();
}

template <typename T>
void upload_any(std::span<const T> values, const Tensor& to, Device& device, Stream& stream) {
  WEFT_CHECK(static_cast<int64_t>(values.size()) == to.elements(), "{} values for {}",
             values.size(), to_string(to));
  if (to.dtype() == dtype_of<T>) {
    device.copy_to_device(to.raw(), values.data(), to.bytes(), stream);
    stream.synchronize();
    return;
  }
  switch (to.dtype()) {
    case DType::f32:
      return upload_as<float>(values, to, device, stream);
    case DType::f64:
      return upload_as<double>(values, to, device, stream);
    case DType::bf16:
      return upload_as<Bf16>(values, to, device, stream);
    case DType::f16:
      return upload_as<F16>(values, to, device, stream);
    default:
      WEFT_CHECK(false, "floating-point values for {}", to_string(to));
  }
}

}  // namespace

void upload(std::span<const float> values, const Tensor& to, Device& device, Stream& stream) {
  upload_any(values, to, device, stream);
}

void upload(std::span<const double> values, const Tensor& to, Device& device, Stream& stream) {
  upload_any(values, to, device, stream);
}

}  // namespace weft
