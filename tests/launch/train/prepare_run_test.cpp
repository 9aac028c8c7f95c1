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

TEST_F(ChangesSince, RefusesAnotherModelOfTheSameShapes) {
  RunConfig now;
  const CheckpointReader reader = checkpoint(to_yaml(now));
  now.model.dropout = 0.5;
  EXPECT_THAT(changes_since(reader, now),
              ElementsAre("model.dropout: 0 at the checkpoint, 0.5 now"));
  const auto refused = [&](const std::string& key, const std::string& was, const std::string& is,
                           const auto& change) {
    RunConfig other;
    change(other.model);
    try {
      changes_since(reader, other);
      ADD_FAILURE() << key;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::config);
      EXPECT_THAT(error.what(), HasSubstr(key + ": "));
      EXPECT_THAT(error.what(),
                  HasSubstr(fmt::format("was trained with {}, this run has {};", was, is)));
    }
  };
  refused("model.heads", "12", "6", [](GptConfig& m) { m.heads = 6; });
  refused("model.norm_eps", "1e-5", "0.001", [](GptConfig& m) { m.norm_eps = 1e-3; });
  refused("model.activation", "gelu_tanh", "relu",
          [](GptConfig& m) { m.activation = GptConfig::Activation::relu; });
  refused("model.position", "learned", "sinusoidal",
          [](GptConfig& m) { m.position = GptConfig::Position::sinusoidal; });
}

TEST(RequireOneStart, NamesTheRankAndWhatDiffers) {
  EXPECT_NO_THROW(require_one_start({"a\nb\nc\nd", "a\nb\nc\nd"}));
  const auto message = [](const std::string& other) {
    try {
      require_one_start({"a\nb\nc\nd", "a\nb\nc\nd", other});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(message("x\nb\nc\nd"), HasSubstr("rank 2 has read another configuration (digest x)"));
  EXPECT_THAT(message("a\nx\nc\nd"), HasSubstr("rank 2 has other data in data.train (digest x)"));
  EXPECT_THAT(message("a\nb\nx\nd"), HasSubstr("rank 2 has other data in data.validation"));
  EXPECT_THAT(message("a\nb\nc\nx"), HasSubstr("rank 2 has data of another tokenizer"));
}

}  // namespace
}  // namespace weft
