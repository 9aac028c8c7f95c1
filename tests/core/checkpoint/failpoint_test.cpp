// Whatever a call of the writer does, what was published before and what is published now is
// intact.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "core/base/error.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/files.h"
#include "tests/core/checkpoint/fixture.h"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class CountCalls : public WriteHooks {
 public:
  WriteFault before(WriteCall, const std::string&) override {
    ++calls;
    return {};
  }
  std::atomic<int> calls = 0;
};

// A save of step 2 over `ranks` ranks that share `hooks`, beside a published step 1 that retention
// then removes: every kind of call occurs.
std::vector<std::string> save_second(const std::string& directory, int ranks, WriteHooks* hooks,
                                     Saving saving = Saving::at_once) {
  const Attachment attachment{"tokenizer.json", "{}"};
  const auto change = [&](SaveRequest& request, int) {
    request.attachments = {&attachment, 1};
    request.retention.keep_last = 1;
    request.hooks = hooks;
  };
  return save(directory, 2, by_rows, ranks, change, saving);
}

void save_first(const std::string& directory) {
  ASSERT_THAT(save(directory, 1, flat_ranges, 2), Each(""));
}

int calls_of_a_save(int ranks) {
  const TemporaryDirectory directory;
  save_first(directory.path());
  CountCalls count;
  EXPECT_THAT(save_second(directory.path(), ranks, &count), Each(""));
  return count.calls;
}

bool has_drafts(const std::string& directory) {
  for (const std::string& name : list_directory(directory)) {
    if (name.starts_with(".tmp-")) return true;
  }
  return false;
}

// Something published is there, all that is published is intact, and the run can save again.
void expect_survival(const std::string& directory) {
  std::vector<std::string> notices;
  const auto found = find_latest(directory, notices);
  ASSERT_TRUE(found);
  EXPECT_THAT(notices, IsEmpty());
  for (const FoundCheckpoint& published : list_checkpoints(directory)) {
    EXPECT_THAT(verify_checkpoint(published.path).faults, IsEmpty());
    EXPECT_TRUE(holds(published.path, published.step));
  }
  EXPECT_THAT(save(directory, 3, by_columns, 2), Each(""));
  EXPECT_EQ(find_latest(directory, notices)->step, 3);
  EXPECT_FALSE(has_drafts(directory));
}

// Runs `body` in a process of its own; its wait status.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) std::_Exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

class EitherSave : public ::testing::TestWithParam<Saving> {};
INSTANTIATE_TEST_SUITE_P(Failpoints, EitherSave,
                         ::testing::Values(Saving::at_once, Saving::beside_steps),
                         [](const auto& test) {
                           return test.param == Saving::at_once ? "AtOnce" : "BesideSteps";
                         });

TEST_P(EitherSave, KilledAtAnyCallLeavesTheNewestIntact) {
  const int calls = calls_of_a_save(4);
  ASSERT_GT(calls, 40);
  for (int k = 1; k <= calls; ++k) {
    SCOPED_TRACE(k);
    const TemporaryDirectory directory;
    save_first(directory.path());
    const int status = in_child([&] {
      const auto hooks = parse_write_hooks("kill@" + std::to_string(k));
      save_second(directory.path(), 4, hooks.get(), GetParam());
      return 0;
    });
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    expect_survival(directory.path());
  }
}

// Sharper than the survival of the run: a failed save is the same error on every rank, and leaves
// nothing behind.
void fail_each_call(const std::string& action, const std::string& cause, Saving saving) {
  const int calls = calls_of_a_save(2);
  int failed = 0;
  for (int k = 1; k <= calls; ++k) {
    SCOPED_TRACE(action + "@" + std::to_string(k));
    const TemporaryDirectory directory;
    save_first(directory.path());
    const auto hooks = parse_write_hooks(action + "@" + std::to_string(k));
    const std::vector<std::string> errors = save_second(directory.path(), 2, hooks.get(), saving);
    EXPECT_THAT(errors, Each(errors[0]));
    if (!errors[0].empty()) {
      ++failed;
      EXPECT_THAT(errors[0], AllOf(HasSubstr("no checkpoint of step 2: rank "), HasSubstr(cause),
                                   HasSubstr(directory.path())));
      EXPECT_FALSE(has_drafts(directory.path()));
      EXPECT_TRUE(holds(directory.path() + "/step_00000001", 1));
    } else {
      EXPECT_TRUE(holds(directory.path() + "/step_00000002", 2));
    }
    expect_survival(directory.path());
  }
  EXPECT_GT(failed, calls / 2);
}

TEST_P(EitherSave, AnIoErrorIsTheSameOnEveryRank) {
  fail_each_call("eio", "Input/output error", GetParam());
}

TEST_P(EitherSave, AFullDiskIsTheSameOnEveryRank) {
  fail_each_call("enospc", "No space left", GetParam());
}

TEST(Failpoints, ShortWritesAreGoneOnWith) {
  const int calls = calls_of_a_save(1);
  for (int k = 1; k <= calls; ++k) {
    SCOPED_TRACE(k);
    const TemporaryDirectory directory;
    const auto hooks = parse_write_hooks("short@" + std::to_string(k));
    ASSERT_THAT(save_second(directory.path(), 1, hooks.get()), Each(""));
    EXPECT_TRUE(holds(directory.path() + "/step_00000002", 2));
  }
}

// libhdf5 sees nothing of it, or it would crash when the process ends.
TEST(Failpoints, AFileThatMayNotGrowFailsLikeEverythingElse) {
  const TemporaryDirectory directory;
  save_first(directory.path());
  const int status = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};  // bytes; the structures of a shard file need more
    ::setrlimit(RLIMIT_FSIZE, &limit);
    for (int attempt = 0; attempt < 2; ++attempt) {
      for (const std::string& error : save_second(directory.path(), 2, nullptr)) {
        if (error.find("rank_0000") == std::string::npos) return 1;
        if (error.find("File too large") == std::string::npos) return 2;
      }
    }
    std::exit(0);  // with the exit handlers of libraries
  });
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  expect_survival(directory.path());
}

TEST(Failpoints, RetentionThatFailsIsANoticeOnly) {
  const TemporaryDirectory directory;
  save_first(directory.path());
  CountCalls count;
  ASSERT_THAT(save(directory.path(), 1, by_rows, 1, [&](SaveRequest& r, int) { r.hooks = &count; }),
              Each(""));
  // The last call of a save over the same step removes the one it replaced.
  const auto hooks = parse_write_hooks("eio@" + std::to_string(count.calls));
  EXPECT_THAT(
      save(directory.path(), 1, by_rows, 1, [&](SaveRequest& r, int) { r.hooks = hooks.get(); }),
      Each(""));
  EXPECT_TRUE(holds(directory.path() + "/step_00000001", 1));
}

TEST(Failpoints, HooksAreReadFromTextExactly) {
  for (const char* text : {"", "kill", "kill@", "kill@0", "kill@-1", "kill@1x", "burn@1", "@1"}) {
    EXPECT_THAT(error_of([&] { parse_write_hooks(text); }), HasSubstr("write hook")) << text;
  }
  const auto hooks = parse_write_hooks("enospc@2");
  EXPECT_EQ(hooks->before(WriteCall::write, "").error, 0);
  EXPECT_EQ(hooks->before(WriteCall::write, "").error, ENOSPC);
  EXPECT_EQ(hooks->before(WriteCall::write, "").error, 0);
}

TEST(DirectoryLock, ADeadProcessHoldsNothing) {
  const TemporaryDirectory directory;
  const int status = in_child([&] {
    const DirectoryLock lock(directory.path());
    std::raise(SIGKILL);
    return 0;
  });
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_THAT(read_file(directory.path() + "/.lock"), HasSubstr("pid "));
  EXPECT_EQ(error_of([&] { DirectoryLock lock(directory.path()); }), "");
}

}  // namespace
}  // namespace weft
