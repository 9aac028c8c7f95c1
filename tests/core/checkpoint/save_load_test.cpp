// Any layout saves, any layout loads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/manifest.h"
#include "core/checkpoint/retention.h"
#include "tests/core/checkpoint/fixture.h"

namespace weft {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Cut {
  const char* name;
  Layout layout;
  int ranks;
};

std::vector<Cut> cuts() {
  return {{"one", by_rows, 1},         {"rows2", by_rows, 2},       {"rows4", by_rows, 4},
          {"columns2", by_columns, 2}, {"columns3", by_columns, 3}, {"flat2", flat_ranges, 2},
          {"flat5", flat_ranges, 5}};
}

TEST(Checkpoint, AnyLayoutLoadsWhatAnyLayoutSaved) {
  for (const Cut& saved : cuts()) {
    const TemporaryDirectory directory;
    ASSERT_THAT(save(directory.path(), 42, saved.layout, saved.ranks), Each(""));
    const std::string path = directory.path() + "/step_00000042";
    EXPECT_THAT(verify_checkpoint(path).faults, ::testing::IsEmpty()) << saved.name;
    for (const Cut& loaded : cuts()) {
      EXPECT_TRUE(holds(path, 42, loaded.layout, loaded.ranks)) << saved.name << " " << loaded.name;
    }
  }
}

TEST(Checkpoint, CarriesRunStateVersionAndAttachments) {
  const TemporaryDirectory directory;
  const std::string state = R"({"seed": 18446744073709551615, "loss": 0.1, "a": [1, {"b": null}]})";
  const std::vector<Attachment> attachments{{"vocab.json", std::string("{\0}", 3)}, {"empty", ""}};
  const auto change = [&](SaveRequest& request, int) {
    request.run_state_json = state;
    request.code_version = "0.1.0-abc";
    request.attachments = attachments;
  };
  ASSERT_THAT(save(directory.path(), 7, by_rows, 2, change), Each(""));
  const auto reader = CheckpointReader::open(directory.path() + "/step_00000007");
  EXPECT_EQ(nlohmann::json::parse(reader.run_state_json()), nlohmann::json::parse(state));
  EXPECT_EQ(reader.manifest().code_version, "0.1.0-abc");
  EXPECT_EQ(reader.attachment("vocab.json"), attachments[0].bytes);
  EXPECT_EQ(reader.attachment("empty"), "");
  EXPECT_THAT(error_of([&] { reader.attachment("merges.txt"); }), HasSubstr("merges.txt"));
  EXPECT_EQ(reader.tensors().size(), test_tensors().size());
  EXPECT_EQ(reader.find("wte.weight", "exp_avg")->global_shape, (Shape{17, 8}));
  EXPECT_FALSE(reader.find("wte.weight", "exp_avg_sq"));
}

TEST(Checkpoint, TheSameStateGivesTheSameFiles) {
  const TemporaryDirectory directory;
  for (const char* name : {"/a", "/b"}) {
    ASSERT_THAT(save(directory.path() + name, 3, by_columns, 2), Each(""));
  }
  for (const char* file : {"/manifest.json", "/rank_00000.h5", "/rank_00001.h5"}) {
    EXPECT_EQ(read_file(directory.path() + "/a/step_00000003" + file),
              read_file(directory.path() + "/b/step_00000003" + file))
        << file;
  }
}

TEST(Checkpoint, BlocksAreVerifiedAcrossTheirBorders) {
  const TemporaryDirectory directory;
  const Shape shape{5, 2'000'003};  // 40 MB in rows that straddle the 16 MiB blocks
  std::vector<float> data(static_cast<size_t>(shape.elements()));
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<float>(i % 8191);
  const Shard shard{"big", "weight", shape, DType::f32, whole(shape), data.data()};
  const auto change = [&](SaveRequest& request, int) { request.shards = {&shard, 1}; };
  ASSERT_THAT(save(directory.path(), 1, by_rows, 1, change), Each(""));
  const auto reader = CheckpointReader::open(directory.path() + "/step_00000001");
  EXPECT_EQ(reader.manifest().tensors.at(0).boxes.at(0).blocks.size(), 3u);
  for (const Box& box : {whole(shape), Box{{1, 7}, {3, 1'999'000}}, Box{{2, 194'000}, {1, 1000}}}) {
    std::vector<float> got(static_cast<size_t>(box.elements()));
    reader.read("big", "weight", box, got.data());
    for_each_run(whole(shape), box, box, [&](const CopyRun& run) {
      for (int64_t i = 0; i < run.count; ++i) {
        ASSERT_EQ(got[static_cast<size_t>(run.target + i)],
                  data[static_cast<size_t>(run.source + i)]);
      }
    });
  }
  EXPECT_THAT(verify_checkpoint(reader.path()).faults, ::testing::IsEmpty());
  EXPECT_EQ(verify_checkpoint(reader.path()).blocks, 3);
}

TEST(Checkpoint, AnElementSavedTwiceOrNeverIsABugOnEveryRank) {
  const TemporaryDirectory directory;
  const Layout everywhere = [](const Shape& shape, int, int) { return by_rows(shape, 0, 1); };
  EXPECT_THAT(save(directory.path(), 1, everywhere, 2), Each(HasSubstr("overlap")));
  const Layout part = [](const Shape& shape, int rank, int) { return by_rows(shape, rank, 3); };
  EXPECT_THAT(save(directory.path(), 1, part, 2), Each(HasSubstr("in no box")));
  std::vector<std::string> notices;
  EXPECT_FALSE(find_latest(directory.path(), notices));
  EXPECT_THAT(notices, ::testing::IsEmpty());
}

TEST(Checkpoint, RefusesBoxesAndTensorsThatAreNotThere) {
  const TemporaryDirectory directory;
  ASSERT_THAT(save(directory.path(), 1, by_rows, 1), Each(""));
  const auto reader = CheckpointReader::open(directory.path() + "/step_00000001");
  std::vector<float> out(1000);
  EXPECT_THAT(error_of([&] {
                reader.read("wte.weight", "weight", {{0, 0}, {18, 8}}, out.data());
              }),
              HasSubstr("[0:18, 0:8]"));
  EXPECT_THAT(error_of([&] {
                reader.read("wpe", "weight", {{0}, {1}}, out.data());
              }),
              HasSubstr("no wpe"));
}

TEST(FindLatest, TakesTheHighestStepAndNothingWhereThereIsNone) {
  const TemporaryDirectory directory;
  std::vector<std::string> notices;
  EXPECT_FALSE(find_latest(directory.path() + "/absent", notices));
  EXPECT_FALSE(find_latest(directory.path(), notices));
  for (int64_t step : {5, 100, 20}) {
    ASSERT_THAT(save(directory.path(), step, by_rows, 2), Each(""));
  }
  EXPECT_EQ(find_latest(directory.path(), notices)->step, 100);
  EXPECT_EQ(find_latest(directory.path(), notices, 100)->step, 20);
  EXPECT_THAT(notices, ::testing::IsEmpty());
  EXPECT_EQ(read_file(directory.path() + "/LATEST"), "step_00000020\n");
}

std::vector<int64_t> steps_of(const std::vector<FoundCheckpoint>& checkpoints) {
  std::vector<int64_t> steps;
  for (const FoundCheckpoint& found : checkpoints) steps.push_back(found.step);
  return steps;
}

TEST(Retention, KeepsTheNewestAndTheMilestones) {
  const TemporaryDirectory directory;
  for (int64_t step = 1; step <= 8; ++step) {
    const auto change = [&](SaveRequest& request, int) {
      request.retention = {.keep_last = 2, .keep_every = 3};
    };
    ASSERT_THAT(save(directory.path(), step, by_rows, 1, change), Each(""));
  }
  std::vector<int64_t> steps;
  for (const FoundCheckpoint& found : list_checkpoints(directory.path())) {
    steps.push_back(found.step);
  }
  EXPECT_THAT(steps, ElementsAre(3, 6, 7, 8));
}

TEST(Retention, DoesNotCountDamagedOnesAsKept) {
  const TemporaryDirectory directory;
  for (int64_t step = 1; step <= 3; ++step) {
    ASSERT_THAT(save(directory.path(), step, by_rows, 1), Each(""));
  }
  std::filesystem::remove(directory.path() + "/step_00000003/rank_00000.h5");
  const auto change = [&](SaveRequest& request, int) { request.retention.keep_last = 2; };
  ASSERT_THAT(save(directory.path(), 4, by_rows, 1, change), Each(""));
  EXPECT_TRUE(holds(directory.path() + "/step_00000002", 2));
  EXPECT_FALSE(std::filesystem::exists(directory.path() + "/step_00000001"));
}

TEST(Retention, KeepsTheNewestProvenOne) {
  const TemporaryDirectory directory;
  std::atomic<int64_t> proven{-1};
  const auto save_keeping = [&](int64_t step, int keep_last) {
    const auto change = [&](SaveRequest& request, int) {
      request.retention = {.keep_last = keep_last, .proven = &proven};
    };
    EXPECT_THAT(save(directory.path(), step, by_rows, 1, change), Each(""));
    return steps_of(list_checkpoints(directory.path()));
  };
  EXPECT_THAT(save_keeping(1, 1), ElementsAre(1));
  EXPECT_THAT(save_keeping(2, 1), ElementsAre(2));  // none is known to be good
  proven = 2;
  EXPECT_THAT(save_keeping(3, 1), ElementsAre(2, 3));
  EXPECT_THAT(save_keeping(4, 1), ElementsAre(2, 4));
  EXPECT_THAT(save_keeping(5, 2), ElementsAre(2, 4, 5));
  proven = 5;
  EXPECT_THAT(save_keeping(6, 2), ElementsAre(5, 6));
  proven = 7;
  EXPECT_THAT(save_keeping(7, 1), ElementsAre(7));
}

TEST(Retention, TakesBackWhatIsNoGood) {
  const TemporaryDirectory directory;
  for (int64_t step = 1; step <= 3; ++step) {
    ASSERT_THAT(save(directory.path(), step, by_rows, 1), Each(""));
  }
  FileWriter writer(nullptr);
  take_back(directory.path(), 3, writer);
  take_back(directory.path(), 7, writer);
  EXPECT_THAT(steps_of(list_checkpoints(directory.path())), ElementsAre(1, 2));
  EXPECT_EQ(read_file(directory.path() + "/LATEST"), "step_00000002\n");
}

TEST(Prune, RemovesWhatIsNotKeptAndOnlySaysSoWhenDry) {
  const TemporaryDirectory directory;
  for (int64_t step = 1; step <= 7; ++step) {
    ASSERT_THAT(save(directory.path(), step, by_rows, 1), Each(""));
  }
  const Retention keep{.keep_last = 2, .keep_every = 3};
  EXPECT_THAT(steps_of(prune_checkpoints(directory.path(), keep, true).removed),
              ElementsAre(1, 2, 4, 5));
  EXPECT_EQ(list_checkpoints(directory.path()).size(), 7u);
  EXPECT_THAT(steps_of(prune_checkpoints(directory.path(), keep, false).removed),
              ElementsAre(1, 2, 4, 5));
  EXPECT_THAT(steps_of(list_checkpoints(directory.path())), ElementsAre(3, 6, 7));
}

TEST(Prune, NeverRemovesWhatLatestNamesOrTheLastIntactOne) {
  const TemporaryDirectory directory;
  for (int64_t step = 1; step <= 4; ++step) {
    ASSERT_THAT(save(directory.path(), step, by_rows, 1), Each(""));
  }
  write_file(directory.path() + "/LATEST", "step_00000002\n");
  write_file(directory.path() + "/step_00000004/rank_00000.h5", "damaged");
  prune_checkpoints(directory.path(), {.keep_last = 1}, false);
  EXPECT_THAT(steps_of(list_checkpoints(directory.path())), ElementsAre(2, 3, 4));
}

TEST(Prune, LeavesADirectoryThatARunWritesTo) {
  const TemporaryDirectory directory;
  for (int64_t step = 1; step <= 2; ++step) {
    ASSERT_THAT(save(directory.path(), step, by_rows, 1), Each(""));
  }
  const DirectoryLock run(directory.path());
  EXPECT_THAT(error_of([&] { prune_checkpoints(directory.path(), {.keep_last = 1}, false); }),
              HasSubstr("in use by pid"));
  EXPECT_EQ(list_checkpoints(directory.path()).size(), 2u);
  EXPECT_THAT(error_of([&] {
                prune_checkpoints(directory.path() + "/none", {1, 0}, false);
              }),
              HasSubstr("is no directory"));
}

TEST(Checkpoint, ReplacesACheckpointOfTheSameStep) {
  const TemporaryDirectory directory;
  ASSERT_THAT(save(directory.path(), 9, by_rows, 2), Each(""));
  write_file(directory.path() + "/step_00000009/rank_00001.h5", "damaged");
  ASSERT_THAT(save(directory.path(), 9, by_columns, 1), Each(""));
  EXPECT_TRUE(holds(directory.path() + "/step_00000009", 9));
  std::vector<std::string> notices;
  EXPECT_EQ(find_latest(directory.path(), notices)->step, 9);
}

TEST(DirectoryLock, RefusesASecondRunAndNamesTheFirst) {
  const TemporaryDirectory directory;
  {
    const DirectoryLock lock(directory.path());
    EXPECT_THAT(error_of([&] { DirectoryLock second(directory.path()); }),
                ::testing::AllOf(HasSubstr("in use by pid"), HasSubstr("another checkpoint")));
    EXPECT_THAT(save(directory.path(), 1, by_rows, 2), Each(HasSubstr("in use by pid")));
    const auto change = [&](SaveRequest& request, int rank) {
      if (rank == 0) request.lock = &lock;
    };
    EXPECT_THAT(save(directory.path(), 1, by_rows, 2, change), Each(""));
  }
  EXPECT_EQ(error_of([&] { DirectoryLock again(directory.path()); }), "");
}

}  // namespace
}  // namespace weft
