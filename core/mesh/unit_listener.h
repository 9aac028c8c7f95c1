// UnitListener: who has weights brought and gradient memory cleared before a unit of the model is
// computed. Units are the grain of the model in forward order: embedding, blocks, final norm and
// head.
#pragma once

#include <cstdint>

#include "core/device/device.h"

namespace weft {

enum class Pass { forward, backward };

class UnitListener {
 public:
  virtual ~UnitListener() = default;
  // What is enqueued on `stream` from here on reads the weights of `unit` and, in backward, adds to
  // its gradients; it touches no other unit until the next call. The backward of unit 0, which
  // looks its input up, reads no weights.
  virtual void before_unit(int64_t unit, Pass pass, Stream& stream) = 0;
};

}  // namespace weft
