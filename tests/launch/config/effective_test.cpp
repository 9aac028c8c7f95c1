// The effective configuration, its digest, and the reference made from the fields.
#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "launch/config/help.h"
#include "launch/config/load.h"
#include "tests/launch/config/config_files.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

class Effective : public ConfigFiles {};

RunConfig unusual_config() {
  RunConfig config;
  config.name = "null";
  config.seed = 123456789012345;
  config.model.vocab_size = 50257;
  config.model.activation = GptConfig::Activation::relu;
  config.model.bias = false;
  config.model.dropout = 0.1 + 0.2;
  config.data.train = {"a", "", "x: y", "[z]", "\"q\" \\ 'r'", "# no", "ä ", " ", "a$b${c}", "1e3"};
  config.data.train[1] = "*alias";
  config.data.format = DataConfig::Format::megatron;
  config.optimizer.eps = 4.9406564584124654e-300;
  config.schedule.kind = ScheduleConfig::Kind::wsd;
  config.checkpoint.directory = "auto";
  return config;
}

TEST_F(Effective, LoadsBackToTheSameValues) {
  for (const RunConfig& config : {RunConfig(), unusual_config()}) {
    const std::string yaml = to_yaml(config);
    const RunConfig again = load_config(write("c.yaml", yaml));
    EXPECT_EQ(to_yaml(again), yaml);
    EXPECT_EQ(config_digest(again), config_digest(config));
  }
  const RunConfig again = load_config(write("c.yaml", to_yaml(unusual_config())));
  EXPECT_EQ(again.data.train, unusual_config().data.train);
  EXPECT_EQ(again.model.dropout, 0.1 + 0.2);
  EXPECT_EQ(again.checkpoint.directory, "auto");
}

TEST_F(Effective, HasEveryKeyOnItsOwnLine) {
  RunConfig config;
  const std::string yaml = to_yaml(config);
  for (const Field& field : fields_of(config)) {
    EXPECT_THAT(yaml, HasSubstr(field.leaf() + ":")) << field.key;
  }
  EXPECT_THAT(yaml, HasSubstr("model:\n  vocab_size: auto\n  context_length: 1024\n"));
}

TEST_F(Effective, ChangesOfTrainingAreNamed) {
  const RunConfig before;
  RunConfig now = before;
  EXPECT_THAT(training_changes(before, now), testing::IsEmpty());
  now.optimizer.beta2 = 0.99;
  now.schedule.kind = ScheduleConfig::Kind::wsd;
  now.precision = Precision::bf16;
  now.optimizer.freeze = {"wte.*"};
  EXPECT_THAT(
      training_changes(before, now),
      testing::UnorderedElementsAre("optimizer.beta2: 0.95 at the checkpoint, 0.99 now",
                                    "schedule.kind: cosine at the checkpoint, wsd now",
                                    "precision: f32 at the checkpoint, bf16 now",
                                    HasSubstr("optimizer.freeze: [] at the checkpoint, [")));
}

TEST_F(Effective, ChangesOfLayoutAndPlaceAreNot) {
  const RunConfig before;
  RunConfig now = before;
  now.name = "other";
  now.mesh.tp = 2;
  now.pipeline.layers = {1, 2};
  now.train.micro_batch_size = 1;
  now.device = DeviceKind::cuda;
  now.cpu.threads = 3;
  now.cuda.measure_matmuls = true;
  now.checkpoint.interval = 7;
  now.output.directory = "elsewhere";
  EXPECT_THAT(training_changes(before, now), testing::IsEmpty());
}

TEST_F(Effective, DigestChangesWithEveryKeyAndWithNothingElse) {
  const std::string digest = config_digest(RunConfig());
  EXPECT_THAT(digest, MatchesRegex("[0-9a-f]+"));
  EXPECT_EQ(digest.size(), 32u);
  EXPECT_EQ(config_digest(load_config(write("c.yaml", "# words\nname: 'run'\n"))), digest);

  const char* sets[] = {"name=b",
                        "seed=2",
                        "model.bias=false",
                        "model.norm_eps=1e-6",
                        "data.train=[a]",
                        "train.steps=1001",
                        "mesh.dp=1",
                        "schedule.kind=wsd",
                        "checkpoint.directory=c",
                        "cpu.threads=2",
                        "output.directory=d",
                        "optimizer.beta1=0"};
  std::set<std::string> digests = {digest};
  for (const std::string set : sets) {
    digests.insert(config_digest(load_config(path("c.yaml"), std::vector{set})));
  }
  EXPECT_EQ(digests.size(), 1 + std::size(sets));
}

TEST(Help, ExplainsOneKeyOneGroupOrAll) {
  EXPECT_EQ(
      config_help("train.micro_batch_size"),
      "train.micro_batch_size\n"
      "    Sequences that one rank puts through the model at once; smaller needs less memory "
      "and gives the same result.\n"
      "    legal: an integer from 1 to 16777216, or auto; in sequences\n"
      "    default: auto (batch_size / dp; in a pipeline the most that makes 2 * pp micro-batches "
      "of them)\n");
  EXPECT_THAT(config_help("mesh"), HasSubstr("mesh.pp\n"));
  EXPECT_THAT(config_help("mesh"), Not(HasSubstr("train.steps")));
  RunConfig config;
  for (const Field& field : fields_of(config)) {
    EXPECT_THAT(config_help(), HasSubstr(field.key));
    EXPECT_THAT(config_help(field.key), HasSubstr(field.help));
  }
}

TEST(Help, SuggestsTheNearestKey) {
  try {
    config_help("train.setps");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "unknown key 'train.setps'; did you mean 'train.steps'?");
    EXPECT_EQ(exit_code(error.kind()), 2);
  }
}

TEST(Help, EveryKeyIsDescribedInOneLine) {
  RunConfig config;
  for (const Field& field : fields_of(config)) {
    EXPECT_FALSE(field.help.empty()) << field.key;
    EXPECT_EQ(field.help.find_first_of("\n|"), std::string::npos) << field.key;
    EXPECT_EQ(field.help.back(), '.') << field.key;
  }
}

TEST(Docs, AreUpToDate) {
  std::ifstream file(std::string(WEFT_SOURCE_DIR) + "/docs/config.md");
  ASSERT_TRUE(file) << "docs/config.md is missing";
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(text.str() == config_docs())
      << "docs/config.md is stale; run `weft config docs > docs/config.md`";
}

}  // namespace
}  // namespace weft
