// main of test programs that are the ranks of a job: every rank runs all tests, rank 0 reports, the
// others report only what fails there. A rank's failure is the job's.
#include "tests/support/job_main.h"

#include <gtest/gtest.h>

#include <chrono>
#include <iostream>
#include <memory>

#include "core/base/error.h"
#include "parallel/comm/bootstrap.h"
#include "parallel/transports/transports.h"

namespace weft::testing {
namespace {

std::unique_ptr<Bootstrap>& bootstrap_of_this_process() {
  static std::unique_ptr<Bootstrap> bootstrap;
  return bootstrap;
}

class FailurePrinter : public ::testing::EmptyTestEventListener {
  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::cerr << "rank " << job_bootstrap().rank() << ": " << result.file_name() << ":"
              << result.line_number() << ": " << result.summary() << std::endl;
  }
};

int run(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  CommOptions options;
  options.deadline = std::chrono::seconds(120);
  options.chunk_bytes = size_t{16} << 10;  // so that buffers of test size take several
  bootstrap_of_this_process() = make_bootstrap(options);
  if (job_bootstrap().rank() != 0) {
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailurePrinter);
  }
  const int failed = RUN_ALL_TESTS();
  if (failed != 0) abort_world(failed);
  bootstrap_of_this_process().reset();
  return 0;
}

}  // namespace

Bootstrap& job_bootstrap() { return *bootstrap_of_this_process(); }

}  // namespace weft::testing

int main(int argc, char** argv) {
  try {
    return weft::testing::run(argc, argv);
  } catch (const weft::Error& error) {
    std::cerr << error.what() << std::endl;
    weft::abort_world(weft::exit_code(error.kind()));
  }
}
