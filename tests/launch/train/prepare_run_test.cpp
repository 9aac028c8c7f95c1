#include "launch/train/prepare_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "launch/config/load.h"
#include "parallel/comm/bootstrap.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A checkpoint of no tensors with this file as the configuration attached.
class ChangesSince : public ::testing::Test {
 protected:
  ChangesSince()
      : directory_(fmt::format("{}weft-changes-{}", ::testing::TempDir(), getpid())),
        alone_(make_self_bootstrap()) {}
  ~ChangesSince() override { std::filesystem::remove_all(directory_); }

  CheckpointReader checkpoint(const std::string& config) {
    const std::vector<Attachment> attached{{kAttachedConfig, config}};
    const SaveResult saved = save_checkpoint(
        {.directory = directory_, .step = 3, .shards = {}, .attachments = attached}, *alone_);
    return CheckpointReader::open(saved.path);
  }

  std::string directory_;
  std::unique_ptr<Bootstrap> alone_;
};

TEST_F(ChangesSince, NamesWhatTrainingDoesOtherwise) {
  RunConfig now;
  const CheckpointReader reader = checkpoint(to_yaml(now));
  EXPECT_THAT(changes_since(reader, now), ElementsAre());
  now.train.clip_norm = 0.5;
  EXPECT_THAT(changes_since(reader, now),
              ElementsAre("train.clip_norm: 1 at the checkpoint, 0.5 now"));
}

TEST_F(ChangesSince, AConfigurationOfAnotherVersionIsNoObstacle) {
  const CheckpointReader reader = checkpoint(to_yaml(RunConfig()) + "no_such_key: 1\n");
  EXPECT_THAT(changes_since(reader, RunConfig()),
              ElementsAre(HasSubstr("what has changed since the checkpoint is not known: ")));
}

}  // namespace
}  // namespace weft
