// Each wrong configuration, and the whole message that it is refused with.
#include <gmock/gmock.h>
#include <unistd.h>

#include "tests/launch/config/config_files.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

struct WrongConfig {
  const char* name;
  const char* text;
  const char* message;
};

void PrintTo(const WrongConfig& config, std::ostream* out) { *out << config.name; }

class Wrong : public ConfigFiles, public ::testing::WithParamInterface<WrongConfig> {};

TEST_P(Wrong, IsRefusedWithPlaceValueAndFix) {
  EXPECT_EQ(refusal_of(GetParam().text), GetParam().message);
}

const WrongConfig kWrongConfigs[] = {
    {"UnknownKey", "model:\n  layrs: 4\n",
     "c.yaml:2:3: unknown key 'model.layrs'; did you mean 'model.layers'?"},
    {"UnknownGroup", "trian:\n  steps: 4\n",
     "c.yaml:1:1: unknown key 'trian'; did you mean 'train'?"},
    {"KeyOfAnotherGroup", "steps: 4\n",
     "c.yaml:1:1: unknown key 'steps'; did you mean 'train.steps'?"},
    {"KeyLikeNone", "output:\n  qqq: 4\n",
     "c.yaml:2:3: unknown key 'output.qqq'; legal keys here: directory"},
    {"DottedKey", "model.layers: 4\n",
     "c.yaml:1:1: unknown key 'model.layers'; did you mean 'model.layers'?"},
    {"DuplicateKey", "train:\n  steps: 4\n  batch_size: 8\n  steps: 5\n",
     "c.yaml:4:3: duplicate key 'train.steps', first given in line 2; keep one"},
    {"DuplicateGroup", "train:\n  steps: 4\ntrain:\n  steps: 5\n",
     "c.yaml:3:1: duplicate key 'train', first given in line 1; keep one"},
    {"WordForInteger", "train:\n  steps: many\n",
     "c.yaml:2:10: train.steps: 'many' is not an integer; legal: an integer from 1 to 1000000000"},
    {"ExponentForInteger", "train: {steps: 1e3}\n",
     "c.yaml:1:16: train.steps: '1e3' is not an integer (write 1000); legal: an integer from 1 to "
     "1000000000"},
    {"LeadingZero", "model:\n  layers: 010\n",
     "c.yaml:2:11: model.layers: '010' is not an integer (write 10); legal: an integer from 1 to "
     "10000"},
    {"OutOfRange", "model:\n  layers: 0\n",
     "c.yaml:2:11: model.layers: '0' is out of range; legal: an integer from 1 to 10000"},
    {"NotANumber", "optimizer:\n  eps: .nan\n",
     "c.yaml:2:8: optimizer.eps: '.nan' is not a finite number; legal: a number > 0"},
    {"Infinity", "schedule:\n  peak_lr: .inf\n",
     "c.yaml:2:12: schedule.peak_lr: '.inf' is not a finite number; legal: a number > 0"},
    {"YesForBoolean", "model:\n  bias: yes\n",
     "c.yaml:2:9: model.bias: 'yes' is neither true nor false; legal: true or false"},
    {"QuotedNumber", "model:\n  width: \"768\"\n",
     "c.yaml:2:10: model.width: '768' is a text in quotes, not an integer; legal: an integer from "
     "1 to 262144"},
    {"WrongChoice", "schedule:\n  kind: cosin\n",
     "c.yaml:2:9: schedule.kind: 'cosin' is not a value (did you mean cosine?); legal: cosine, "
     "linear, constant, wsd"},
    {"ScalarForList", "data:\n  train: a.bin\n",
     "c.yaml:2:10: data.train: 'a.bin' is not a list; legal: a list such as [a, b], each a path"},
    {"ListForScalar", "train:\n  steps: [1]\n",
     "c.yaml:2:10: train.steps: is a list; legal: an integer from 1 to 1000000000"},
    {"EmptyElement", "data:\n  train: [a, \"\"]\n",
     "c.yaml:2:14: data.train: '' is empty; legal: a list such as [a, b], each a path"},
    {"ListInList", "data:\n  train: [a, [b]]\n",
     "c.yaml:2:14: data.train: has an element that is a list; legal: a list such as [a, b], each "
     "a path"},
    {"ScalarForGroup", "model: gpt2\n",
     "c.yaml:1:8: model: 'gpt2' is a value, but this is a group of keys; legal: a group of keys"},
    {"NoValue", "train:\n  steps:\n  batch_size: 8\n",
     "c.yaml:2:3: train.steps: is no value; legal: an integer from 1 to 1000000000"},
    {"NullValue", "train:\n  steps: ~\n",
     "c.yaml:2:3: train.steps: is no value; legal: an integer from 1 to 1000000000"},
    {"Anchor", "train:\n  steps: &n 4\n",
     "c.yaml:2:10: an anchor (&name) is not allowed; write the value where it is used"},
    {"Tag", "train:\n  steps: !!int 4\n",
     "c.yaml:2:10: a tag ('tag:yaml.org,2002:int') is not allowed; remove it"},
    {"ListAsDocument", "- a\n- b\n",
     "c.yaml:1:1: the file is a list, not keys with values such as `name: run`"},
    {"TextAsDocument", "hello\n",
     "c.yaml:1:1: the file is a value, not keys with values such as `name: run`"},
    {"OnlyComments", "# nothing\n", "c.yaml: has no keys; `weft config help` lists them"},
    {"Empty", "", "c.yaml: empty; `weft config help` lists the keys"},
    {"ListAsKey", "? [a, b]\n: c\n", "c.yaml:1:3: a list cannot be a key"},
    {"TwoDocuments", "name: a\n---\nname: b\n",
     "c.yaml: a second YAML document ('---') is not allowed; use one file for each"},
    {"BrokenYaml", "train: {steps: 4\n", "c.yaml:2:1: not valid YAML: end of map flow not found"},
    {"Tab", "train:\n\tsteps: 4\n",
     "c.yaml:2:7: not valid YAML: illegal map value; line 2 is indented with a tab, use spaces"},
    {"NotUtf8", "name: a\n# gr\xfc\xdf\n",
     "c.yaml:2:5: byte 0xfc is not UTF-8; save the file as UTF-8"},
    {"ControlCharacter", "name: a\x04\nname: b\n",
     "c.yaml:1:8: a control character (0x04) is not allowed; remove it"},
    {"EscapedControlCharacter", "output: {directory: \"a\\0b\"}\n",
     "c.yaml:1:21: output.directory: 'a\\x00b' has a control character; legal: a path"},
    {"NameThatLeavesTheDirectory", "name: ../other\n",
     "c.yaml:1:7: name: '../other' cannot be a file name here; legal: a name of letters, digits, "
     "'.', '_' and '-' that does not start with '.'"},
    {"HeadsThatDoNotDivide", "model:\n  width: 100\n  heads: 7\n",
     "c.yaml:3:10: model.heads: 7 heads do not divide width 100 evenly; try heads 5 or 10"},
    {"SequenceLongerThanContext", "model: {context_length: 64}\ntrain: {sequence_length: 65}\n",
     "c.yaml:2:26: train.sequence_length: 65 tokens are more than model.context_length 64; try 64 "
     "or auto"},
};

INSTANTIATE_TEST_SUITE_P(Config, Wrong, ::testing::ValuesIn(kWrongConfigs),
                         [](const ::testing::TestParamInfo<WrongConfig>& test) {
                           return test.param.name;
                         });

class WrongFile : public ConfigFiles {};

TEST_F(WrongFile, AliasIsRefusedWhereItIsUsed) {
  EXPECT_EQ(refusal_of("data:\n  train: &d [a]\n  validation: *d\n"),
            "c.yaml:2:10: an anchor (&name) is not allowed; write the value where it is used\n"
            "c.yaml:3:15: an alias (*name) is not allowed; write the value out");
}

TEST_F(WrongFile, Missing) { EXPECT_EQ(refusal(path("no.yaml")), "no.yaml: no such file"); }

TEST_F(WrongFile, Directory) {
  write("sub/c.yaml", "name: a\n");
  EXPECT_EQ(refusal(path("sub")), "sub: a directory; name a YAML file in it");
}

TEST_F(WrongFile, NotRegular) { EXPECT_EQ(refusal("/dev/null"), "/dev/null: not a regular file"); }

TEST_F(WrongFile, WithoutPermission) {
  const std::string file = write("c.yaml", "name: a\n");
  std::filesystem::permissions(file, std::filesystem::perms::none);
  const bool is_root = geteuid() == 0;
  constexpr uid_t kNobody = 65534;
  if (is_root && seteuid(kNobody) != 0) GTEST_SKIP() << "cannot stop being root";
  const std::string message = refusal(file);
  if (is_root) {
    ASSERT_EQ(seteuid(0), 0);
  }
  EXPECT_EQ(message, "c.yaml: cannot be read: Permission denied");
}

TEST_F(WrongFile, LargerThanOneMebibyte) {
  const std::string line = "name: a\n";
  const std::string padding((size_t{1} << 20) - line.size() - 1, '#');
  EXPECT_EQ(refusal_of(line + padding + "\n"), "");
  EXPECT_EQ(refusal_of(line + padding + "\n\n"),
            "c.yaml: larger than 1 MiB, which no configuration is; is this the right file?");
}

TEST_F(WrongFile, ReportsEveryViolationAtOnce) {
  EXPECT_EQ(refusal_of("modle: {}\n"
                       "model: {layers: -1, bias: 1}\n"
                       "train:\n"
                       "  steps: 10\n"
                       "  steps: 20\n"
                       "  batch_size: 10\n"
                       "  micro_batch_size: 4\n"
                       "schedule: {warmup_steps: 0, peak_lr: 1e-3, min_lr: 2e-3}\n"),
            "c.yaml:1:1: unknown key 'modle'; did you mean 'model'?\n"
            "c.yaml:2:17: model.layers: '-1' is out of range; legal: an integer from 1 to 10000\n"
            "c.yaml:2:27: model.bias: '1' is neither true nor false; legal: true or false\n"
            "c.yaml:5:3: duplicate key 'train.steps', first given in line 4; keep one\n"
            "c.yaml:8:52: schedule.min_lr: 0.002 is above schedule.peak_lr 0.001; try 0.0001 (a "
            "tenth of it)\n"
            "c.yaml:6:15: train.batch_size: 10 is not a multiple of micro_batch_size 4; try 8 or "
            "12");
}

TEST_F(WrongFile, ChecksBetweenKeysLeaveOutValuesThatAreWrongThemselves) {
  EXPECT_EQ(refusal_of("model: {heads: 0, width: 100}\n"),
            "c.yaml:1:16: model.heads: '0' is out of range; legal: an integer from 1 to 4096");
}

TEST_F(WrongFile, PrintsFortyViolationsAndCountsTheRest) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "key" + std::to_string(i) + ": 1\n";
  const std::string message = refusal_of(text);
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 40);
  EXPECT_THAT(message, StartsWith("c.yaml:1:1: unknown key 'key0'"));
  EXPECT_THAT(message, HasSubstr("\n... and 60 more"));
}

}  // namespace
}  // namespace weft
