// Saving beside steps: nobody waits for a disk, and what is published is what was there at begin().
#include "core/checkpoint/async_save.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "core/backends/backends.h"
#include "core/checkpoint/files.h"
#include "tests/core/checkpoint/fake_ranks.h"
#include "tests/core/checkpoint/fixture.h"

namespace weft {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int kRanks = 3;

// A disk that answers to nothing while it is stuck, but for the making of directories.
class StuckDisk : public WriteHooks {
 public:
  WriteFault before(WriteCall call, const std::string&) override {
    std::unique_lock lock(mutex_);
    if (call != WriteCall::make_directory) changed_.wait(lock, [&] { return !stuck_; });
    return {};
  }
  void recover() {
    const std::lock_guard lock(mutex_);
    stuck_ = false;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stuck_ = true;
};

// One rank that saves test_tensors() at a step, by rows.
struct Rank {
  Rank(Bootstrap& given, const std::string& directory, int64_t step, WriteHooks* hooks = nullptr)
      : bootstrap(given),
        owned(shards_of(step, by_rows, given.rank(), given.size())),
        copied(make_device({})->make_event()),
        save(given) {
    request.directory = directory;
    request.step = step;
    request.shards = owned.shards;
    request.hooks = hooks;
  }
  void begin() { save.begin(request, *copied); }
  int64_t votes() { return sum_of_votes(save, bootstrap); }

  Bootstrap& bootstrap;
  OwnedShards owned;
  SaveRequest request;
  std::unique_ptr<Event> copied;
  AsyncSave save;
};

TEST(AsyncSave, NobodyWaitsForADiskThatIsStuck) {
  const TemporaryDirectory directory;
  StuckDisk disk;
  EXPECT_THAT(run_ranks(kRanks,
                        [&](Bootstrap& bootstrap) {
                          const bool last = bootstrap.rank() == kRanks - 1;
                          Rank rank(bootstrap, directory.path(), 1, last ? &disk : nullptr);
                          rank.begin();
                          for (int step = 0; step < 100; ++step) {
                            const int64_t votes = rank.votes();
                            EXPECT_LT(votes, kRanks);
                            EXPECT_FALSE(rank.save.advance(votes));
                          }
                          EXPECT_THAT(list_checkpoints(directory.path()), IsEmpty());
                          bootstrap.barrier();
                          if (last) disk.recover();
                          const SaveResult result = advance_to_the_end(rank.save, bootstrap);
                          EXPECT_FALSE(rank.save.in_flight());
                          EXPECT_EQ(result.path, directory.path() + "/step_00000001");
                          EXPECT_GT(result.bytes, 0);
                          EXPECT_GT(result.seconds, 0);
                        }),
              Each(""));
  EXPECT_TRUE(holds(directory.path() + "/step_00000001", 1));
}

TEST(AsyncSave, PublishesBesideStepsToo) {
  const TemporaryDirectory directory;
  EXPECT_THAT(run_ranks(1,
                        [&](Bootstrap& bootstrap) {
                          Rank rank(bootstrap, directory.path(), 1);
                          rank.begin();
                          while (rank.save.vote() == 0) {
                          }
                          EXPECT_FALSE(rank.save.advance(1));
                          EXPECT_TRUE(rank.save.in_flight());
                          EXPECT_EQ(rank.save.wait().path, directory.path() + "/step_00000001");
                          EXPECT_EQ(rank.save.vote(), 0);
                          EXPECT_FALSE(rank.save.advance(1));
                        }),
              Each(""));
  EXPECT_TRUE(holds(directory.path() + "/step_00000001", 1));
}

TEST(AsyncSave, WaitingPublishesWhateverItHasComeTo) {
  const TemporaryDirectory directory;
  EXPECT_THAT(run_ranks(kRanks,
                        [&](Bootstrap& bootstrap) {
                          for (int64_t step = 1; step <= 5; ++step) {
                            Rank rank(bootstrap, directory.path(), step);
                            rank.begin();
                            for (int64_t i = 0; i < step; ++i) {
                              if (rank.save.advance(rank.votes())) break;
                            }
                            if (rank.save.in_flight()) rank.save.wait();
                          }
                        }),
              Each(""));
  for (int64_t step = 1; step <= 5; ++step) {
    EXPECT_TRUE(holds(directory.path() + "/step_0000000" + std::to_string(step), step));
  }
}

TEST(AsyncSave, AFailedSaveIsOverAndTheNextOneIsGood) {
  const TemporaryDirectory directory;
  EXPECT_THAT(run_ranks(kRanks,
                        [&](Bootstrap& bootstrap) {
                          const auto hooks = parse_write_hooks("enospc@3");
                          Rank bad(bootstrap, directory.path(), 1,
                                   bootstrap.rank() == 1 ? hooks.get() : nullptr);
                          bad.begin();
                          EXPECT_THAT(error_of([&] { advance_to_the_end(bad.save, bootstrap); }),
                                      HasSubstr("no checkpoint of step 1: rank 1: "));
                          EXPECT_FALSE(bad.save.in_flight());
                          bad.owned = shards_of(2, by_rows, bootstrap.rank(), kRanks);
                          bad.request.step = 2;
                          bad.request.shards = bad.owned.shards;
                          bad.request.hooks = nullptr;
                          bad.begin();
                          EXPECT_EQ(advance_to_the_end(bad.save, bootstrap).path,
                                    directory.path() + "/step_00000002");
                        }),
              Each(""));
  EXPECT_TRUE(holds(directory.path() + "/step_00000002", 2));
  EXPECT_EQ(list_checkpoints(directory.path()).size(), 1u);
}

// A run that ends by an error waits for the thread, not for the other ranks.
TEST(AsyncSave, OneThatNobodyAdvancesIsNotPublished) {
  const TemporaryDirectory directory;
  ASSERT_THAT(save(directory.path(), 1, by_columns, 2), Each(""));
  EXPECT_THAT(run_ranks(kRanks,
                        [&](Bootstrap& bootstrap) {
                          Rank rank(bootstrap, directory.path(), 2);
                          rank.begin();
                        }),
              Each(""));
  std::vector<std::string> notices;
  EXPECT_EQ(find_latest(directory.path(), notices)->step, 1);
  EXPECT_THAT(save(directory.path(), 3, by_rows, 2), Each(""));
  for (const std::string& name : list_directory(directory.path())) {
    EXPECT_FALSE(name.starts_with(".tmp-")) << name;
  }
}

}  // namespace
}  // namespace weft
