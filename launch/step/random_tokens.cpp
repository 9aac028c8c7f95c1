#include "launch/step/random_tokens.h"

#include "core/base/philox.h"

namespace weft {

FillSample random_tokens(int64_t vocab) {
  return [vocab](int64_t sample, std::span<int32_t> inputs, std::span<int32_t> targets) {
    const RandomKey key{
        .seed = 2, .stream = stream_of("random_tokens"), .step = static_cast<uint32_t>(sample)};
    for (size_t t = 0; t < inputs.size(); ++t) {
      const auto token = [&](size_t i) {
        return static_cast<int32_t>(random_word(key, i) % static_cast<uint64_t>(vocab));
      };
      inputs[t] = token(t);
      targets[t] = token(t + 1);
    }
  };
}

}  // namespace weft
