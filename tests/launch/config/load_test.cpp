#include "launch/config/load.h"

#include <gmock/gmock.h>

#include "tests/launch/config/config_files.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Load : public ConfigFiles {
 protected:
  RunConfig load(const std::string& file, std::vector<std::string> sets = {}) const {
    return load_config(file, sets);
  }
};

TEST_F(Load, TakesValuesFromTheFileAndTheRestFromDefaults) {
  const RunConfig config = load(write("c.yaml",
                                      "name: first\n"
                                      "seed: 9223372036854775807\n"
                                      "model: {vocab_size: 100, position: sinusoidal}\n"
                                      "data:\n"
                                      "  train:\n"
                                      "    - a.bin\n"
                                      "    - 'b c'\n"
                                      "train: {steps: 200, sequence_length: 32}\n"
                                      "optimizer: {eps: 1e-6}\n"));
  EXPECT_EQ(config.name, "first");
  EXPECT_EQ(config.seed, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(config.model.vocab_size, 100);
  EXPECT_EQ(config.model.position, GptConfig::Position::sinusoidal);
  EXPECT_THAT(config.data.train, ElementsAre("a.bin", "b c"));
  EXPECT_EQ(config.train.steps, 200);
  EXPECT_EQ(config.sequence_length(), 32);
  EXPECT_EQ(config.stride(), 32);
  EXPECT_EQ(config.optimizer.eps, 1e-6);
  EXPECT_EQ(config.model.layers, GptConfig().layers);
  EXPECT_EQ(config.checkpoint_directory(), "runs/first/checkpoints");
}

TEST_F(Load, IncludesAreOverriddenByTheFileAndByLaterIncludes) {
  write("models/a.yaml", "model: {layers: 2, heads: 2, width: 64}\ndata: {train: [x, y]}\n");
  write("models/b.yaml", "include: [../base.yaml]\nmodel: {heads: 4}\n");
  write("base.yaml", "model: {layers: 3}\nseed: 5\n");
  const RunConfig config = load(
      write("c.yaml", "seed: 6\ninclude: [models/a.yaml, models/b.yaml]\ndata: {train: [z]}\n"));
  EXPECT_EQ(config.model.layers, 3);
  EXPECT_EQ(config.model.heads, 4);
  EXPECT_EQ(config.model.width, 64);
  EXPECT_EQ(config.seed, 6);
  EXPECT_THAT(config.data.train, ElementsAre("z"));
}

TEST_F(Load, AViolationNamesTheFileThatHoldsTheValue) {
  write("models/a.yaml", "model:\n  heads: 5\n");
  write("models/b.yaml", "model:\n  width: 1.5\n");
  EXPECT_EQ(refusal(write("c.yaml", "include: models/a.yaml\n")),
            "models/a.yaml:2:10: model.heads: 5 heads do not divide width 768 evenly; try heads 4 "
            "or 6");
  EXPECT_EQ(refusal(write("d.yaml", "include: models/b.yaml\nmodel: {width: 64, heads: 4}\n")),
            "models/b.yaml:2:10: model.width: '1.5' is not an integer; legal: an integer from 1 to "
            "262144");
  // The default of heads is at fault only together with the width that the file sets.
  EXPECT_THAT(refusal(write("e.yaml", "model:\n  width: 100\n")),
              HasSubstr("e.yaml:2:10: model.heads: 12 heads do not divide width 100"));
}

TEST_F(Load, RefusesIncludesThatCannotBe) {
  write("loop.yaml", "include: loop2.yaml\n");
  write("loop2.yaml", "include: [loop.yaml]\n");
  EXPECT_EQ(refusal(path("loop.yaml")), "loop2.yaml:1:11: include: loop.yaml includes itself");
  EXPECT_EQ(refusal(write("c.yaml", "include: no.yaml\n")),
            "c.yaml:1:10: include: no.yaml: no such file");
  EXPECT_EQ(refusal(write("c.yaml", "include: {a: b}\n")),
            "c.yaml:1:10: include: not a path; legal: a path, or a list of paths such as [a.yaml, "
            "b.yaml]");
  EXPECT_THAT(refusal(write("c.yaml", "include:\n")), HasSubstr("c.yaml:1:1: include: not a path"));
  EXPECT_EQ(refusal(write("c.yaml", "include: a.yaml\ninclude: b.yaml\n")),
            "c.yaml:1:10: include: a.yaml: no such file\n"
            "c.yaml:2:1: duplicate key 'include', first given in line 1; keep one");
  EXPECT_EQ(refusal(write("c.yaml", "model: {include: a.yaml}\n")),
            "c.yaml:1:9: unknown key 'model.include'; legal keys here: vocab_size, context_length, "
            "layers, heads, width, mlp_width, position, norm_eps, activation, bias, tied_head, "
            "dropout, init_std");
}

TEST_F(Load, BoundsDepthAndNumberOfIncludes) {
  for (int i = 0; i < 9; ++i) {
    const std::string next = std::to_string(i + 1) + ".yaml";
    write(std::to_string(i) + ".yaml", "include: [" + next + ", " + next + "]\n");
  }
  write("9.yaml", "name: a\n");
  EXPECT_THAT(refusal(path("0.yaml")), HasSubstr("include: nested more than 8 deep"));
  EXPECT_THAT(refusal(path("2.yaml")), HasSubstr("include: more than 64 files"));
  EXPECT_EQ(refusal(path("6.yaml")), "");
}

TEST_F(Load, OverridesComeLastAndTheLaterOneWins) {
  const std::string file = write("c.yaml", "name: a\ntrain: {steps: 500}\ndata: {train: [x]}\n");
  const RunConfig config =
      load(file, {"train.steps=300", "train.steps=400", "data.train=[a, 'b c']", "name=b",
                  "output.directory=/tmp/a b: c", "model.mlp_width=auto"});
  EXPECT_EQ(config.train.steps, 400);
  EXPECT_THAT(config.data.train, ElementsAre("a", "b c"));
  EXPECT_EQ(config.name, "b");
  EXPECT_EQ(config.output.directory, "/tmp/a b: c");
}

TEST_F(Load, AWrongOverrideIsNamedByItsNumber) {
  const std::string file = write("c.yaml", "name: a\n");
  const std::vector<std::string> sets = {
      "train.stpes=1", "train.steps=x",   "model=1",        "=1",        "nothing",
      "data.train=a",  "data.train=[a",   "data.train=[~]", "include=b", "train.batch_size=9",
      "name=a\nb",     "data.train=*all", "name=",          "mesh.dp=4"};
  EXPECT_EQ(
      refusal(file, sets),
      "--set #1: unknown key 'train.stpes'; did you mean 'train.steps'?\n"
      "--set #2: train.steps: 'x' is not an integer; legal: an integer from 1 to 1000000000\n"
      "--set #3: model: '1' is a value, but this is a group of keys; legal: a group of keys\n"
      "--set #4: '=1' is not KEY=VALUE, such as train.steps=100\n"
      "--set #5: 'nothing' is not KEY=VALUE, such as train.steps=100\n"
      "--set #6: data.train: 'a' is not a list; legal: a list such as [a, b], each a path\n"
      "--set #7: data.train: not valid YAML: end of sequence flow not found\n"
      "--set #8: data.train: has an element that is no value; legal: a list such as [a, b], each a "
      "path\n"
      "--set #9: unknown key 'include'; legal keys here: name, seed, device, determinism, "
      "precision, model, data, train, optimizer, loss_scale, schedule, mesh, pipeline, recompute, "
      "comm, checkpoint, load, cpu, cuda, output\n"
      "--set #11: name: 'a\\x0ab' has a control character; legal: a name of letters, digits, '.', "
      "'_' and '-' that does not start with '.'\n"
      "--set #12: data.train: an alias (*name) is not allowed; a text that starts with * needs "
      "quotes\n"
      "--set #13: name: the value is empty; legal: a name of letters, digits, '.', '_' and '-' "
      "that does not start with '.'\n"
      "--set #10: train.batch_size: 9 is not a multiple of 4 data-parallel ranks; try 8 or 12");
}

TEST_F(Load, ARunAlsoNeedsDataAndRanksThatFit) {
  const std::string file = write("c.yaml", "train: {batch_size: 6}\n");
  EXPECT_EQ(refusal(file), "");
  EXPECT_EQ(refusal(file, {}, 4),
            "c.yaml:1:21: train.batch_size: 6 is not a multiple of 4 data-parallel ranks; try 4 or "
            "8\n"
            "c.yaml: data.train: names no data; give a list of what `weft prepare` has written\n"
            "c.yaml: data.validation: names no data to evaluate on every 250 steps; name some, or "
            "set train.eval_interval to 0");
}

}  // namespace
}  // namespace weft
