#include "data/batch.h"

#include "core/base/error.h"

namespace weft {

BatchPlan::BatchPlan(int64_t global_batch, int64_t dp, int64_t rows, bool by_turns)
    : global_batch_(global_batch), dp_(dp), rows_(rows), by_turns_(by_turns) {
  if (global_batch < 1 || dp < 1 || rows < 1 || global_batch % (dp * rows) != 0) {
    fail(ErrorKind::config,
         "a batch of {} samples does not divide into {} data-parallel ranks x micro-batches of {}; "
         "make it a multiple of {}",
         global_batch, dp, rows, dp * rows);
  }
  micro_batches_ = global_batch / (dp * rows);
}

}  // namespace weft
