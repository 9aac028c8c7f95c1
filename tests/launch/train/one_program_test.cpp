#include "launch/train/one_program.h"

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace weft {
namespace {

TEST(OneProgram, AnotherVersionOnSomeHostIsRefusedNamingBoth) {
  const RankProgram ours{"node0", "0.1.0 (1a2b3c4d5e6f, Release)"};
  EXPECT_NO_THROW(require_same({ours, ours, {"node1", ours.version}}));
  try {
    require_same({ours, ours, {"node1", "0.1.0 (1a2b3c4d5e6f-dirty, Release)"}});
    ADD_FAILURE() << "two programs went through";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::environment);
    EXPECT_STREQ(error.what(),
                 "rank 2 on node1 runs weft 0.1.0 (1a2b3c4d5e6f-dirty, Release), rank 0 on node0 "
                 "runs weft 0.1.0 (1a2b3c4d5e6f, Release); install one build on all hosts");
  }
}

}  // namespace
}  // namespace weft
