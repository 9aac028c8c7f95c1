// A command's work as a rank of the job that a launcher started.
#pragma once

#include <functional>

#include "launch/host/report_error.h"
#include "launch/train/one_program.h"
#include "parallel/comm/bootstrap.h"
#include "parallel/transports/transports.h"

namespace weft {

// The exit code of `work`, alone or on every rank of the job, whose ranks must be one program. An
// error ends the whole job at once, because the others wait for this rank in some collective and
// unwinding would wait for them.
inline int in_job(const std::function<int(Bootstrap&)>& work) {
  const std::unique_ptr<Bootstrap> bootstrap = make_bootstrap();
  if (bootstrap->size() == 1) return work(*bootstrap);
  try {
    if (const int code = require_one_program(*bootstrap)) return code;
    return work(*bootstrap);
  } catch (...) {
    abort_world(report_current_exception());
  }
}

}  // namespace weft
