// File systems that offer less than the best one, or give less for a while: no locks, no exchange
// of names, no flushing of directories, files that cannot be removed, disks that answer on asking
// again.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "core/base/error.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/files.h"
#include "tests/core/checkpoint/fake_ranks.h"
#include "tests/core/checkpoint/fixture.h"

namespace {

// What the calls of the C library below answer; 0: what the kernel does.
std::atomic<int> flock_error = 0;
std::atomic<int> exchange_error = 0;
std::atomic<int> directory_sync_error = 0;
std::atomic<int> remove_error = 0;
std::atomic<int> read_errors = 0;  // so many reads to come fail with EIO

int failed_with(int error) {
  errno = error;
  return -1;
}

// Sets one of them for as long as it lives.
class While {
 public:
  While(std::atomic<int>& what, int value) : what_(what) { what_ = value; }
  ~While() { what_ = 0; }
  While(const While&) = delete;
  While& operator=(const While&) = delete;

 private:
  std::atomic<int>& what_;
};

}  // namespace

// A program's own definitions come before those of the libraries.
extern "C" {

int flock(int file, int operation) noexcept {
  if (flock_error != 0) return failed_with(flock_error);
  return static_cast<int>(::syscall(SYS_flock, file, operation));
}

int renameat2(int a, const char* from, int b, const char* to, unsigned flags) noexcept {
  if (exchange_error != 0 && flags != 0) return failed_with(exchange_error);
  return static_cast<int>(::syscall(SYS_renameat2, a, from, b, to, flags));
}

int fsync(int file) {
  struct stat status {};
  const bool directory = ::fstat(file, &status) == 0 && S_ISDIR(status.st_mode);
  if (directory && directory_sync_error != 0) return failed_with(directory_sync_error);
  return static_cast<int>(::syscall(SYS_fsync, file));
}

int unlinkat(int directory, const char* path, int flags) noexcept {
  if (remove_error != 0) return failed_with(remove_error);
  return static_cast<int>(::syscall(SYS_unlinkat, directory, path, flags));
}

ssize_t pread(int file, void* out, size_t size, off_t at) {
  if (read_errors > 0 && read_errors.fetch_sub(1) > 0) return failed_with(EIO);
  return ::syscall(SYS_pread64, file, out, size, at);
}

}  // extern "C"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A save of rank 0 alone; what it says.
std::vector<std::string> notices_of_a_save(const std::string& directory, int64_t step,
                                           const Retention& retention = {},
                                           const DirectoryLock* lock = nullptr) {
  std::vector<std::string> notices;
  run_ranks(1, [&](Bootstrap& bootstrap) {
    const OwnedShards owned = shards_of(step, by_rows, 0, 1);
    notices = save_checkpoint({.directory = directory,
                               .step = step,
                               .shards = owned.shards,
                               .retention = retention,
                               .lock = lock},
                              bootstrap)
                  .notices;
  });
  return notices;
}

ErrorKind kind_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "no error";
  return ErrorKind::internal;
}

class WithoutLocks : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(PoorDisk, WithoutLocks,
                         ::testing::Values(ENOLCK, EOPNOTSUPP, ENOSYS, EINVAL));

TEST_P(WithoutLocks, ALockOfThisHostRemainsAndIsSaid) {
  const TemporaryDirectory directory;
  const While none(flock_error, GetParam());
  {
    const DirectoryLock lock(directory.path());
    EXPECT_THAT(lock.notice(), AllOf(HasSubstr("no locks"), HasSubstr(directory.path())));
    EXPECT_EQ(kind_of([&] { DirectoryLock second(directory.path()); }), ErrorKind::environment);
    EXPECT_THAT(error_of([&] { DirectoryLock second(directory.path()); }),
                HasSubstr("in use by pid"));
    EXPECT_THAT(notices_of_a_save(directory.path(), 1, {}, &lock), IsEmpty());
  }
  EXPECT_THAT(notices_of_a_save(directory.path(), 2), Contains(HasSubstr("no locks")));
  EXPECT_TRUE(holds(directory.path() + "/step_00000002", 2));
}

TEST(PoorDisk, OtherErrorsOfALockAreErrors) {
  const TemporaryDirectory directory;
  const While fails(flock_error, EIO);
  EXPECT_EQ(kind_of([&] { DirectoryLock lock(directory.path()); }), ErrorKind::io);
}

TEST(DirectoryLock, ARemovedLockFileIsLockedAgain) {
  const TemporaryDirectory directory;
  const DirectoryLock lock(directory.path());
  ASSERT_EQ(::unlink((directory.path() + "/.lock").c_str()), 0);
  EXPECT_THAT(notices_of_a_save(directory.path(), 1, {}, &lock),
              Each(AllOf(HasSubstr(".lock was removed"), HasSubstr("locked again"))));
  EXPECT_THAT(error_of([&] { DirectoryLock second(directory.path()); }),
              HasSubstr("in use by pid"));
  EXPECT_THAT(notices_of_a_save(directory.path(), 2, {}, &lock), IsEmpty());
}

TEST(DirectoryLock, ALockFileOfAnotherRunEndsSaving) {
  const TemporaryDirectory directory;
  const DirectoryLock lock(directory.path());
  ASSERT_EQ(::unlink((directory.path() + "/.lock").c_str()), 0);
  const DirectoryLock other(directory.path());
  const auto change = [&](SaveRequest& request, int rank) {
    if (rank == 0) request.lock = &lock;
  };
  for (const Saving saving : {Saving::at_once, Saving::beside_steps}) {
    EXPECT_THAT(save(directory.path(), 1, by_rows, 2, change, saving),
                Each(AllOf(HasSubstr("not the file that this run locked"), HasSubstr("pid "))));
  }
  EXPECT_THAT(list_checkpoints(directory.path()), IsEmpty());
}

TEST(DirectoryLock, ARunDirectoryThatWasRemovedIsMadeAgain) {
  const TemporaryDirectory directory;
  const std::string checkpoints = directory.path() + "/run/checkpoints";
  const DirectoryLock lock(checkpoints);
  std::filesystem::remove_all(directory.path() + "/run");
  EXPECT_THAT(notices_of_a_save(checkpoints, 1, {}, &lock), Each(HasSubstr("locked again")));
  EXPECT_TRUE(holds(checkpoints + "/step_00000001", 1));
}

TEST(WithoutExchange, KilledAtAnyCallLosesNoCheckpoint) {
  for (int k = 1; k < 200; ++k) {
    SCOPED_TRACE(k);
    const TemporaryDirectory directory;
    ASSERT_THAT(save(directory.path(), 1, by_rows, 1), Each(""));
    ASSERT_THAT(save(directory.path(), 9, by_rows, 1), Each(""));
    const pid_t child = ::fork();
    if (child == 0) {
      const While none(exchange_error, EINVAL);
      const auto hooks = parse_write_hooks("kill@" + std::to_string(k));
      save(directory.path(), 9, by_columns, 1,
           [&](SaveRequest& request, int) { request.hooks = hooks.get(); });
      std::_Exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    std::vector<std::string> notices;
    const auto found = find_latest(directory.path(), notices);
    ASSERT_TRUE(found);
    EXPECT_THAT(notices, IsEmpty());
    EXPECT_EQ(found->step, 9);
    EXPECT_TRUE(holds(found->path, 9));
    // The next save gives it its name back, and leaves nothing else.
    const While none(exchange_error, EINVAL);
    EXPECT_THAT(notices_of_a_save(directory.path(), 10), IsEmpty());
    EXPECT_TRUE(holds(directory.path() + "/step_00000009", 9));
    EXPECT_EQ(list_directory(directory.path()).size(), 5u);  // .lock, LATEST, three checkpoints
    if (!WIFSIGNALED(status)) return;
  }
  FAIL() << "a save of so many calls";
}

TEST(PoorDisk, DirectoriesThatCannotBeSyncedAreNoFailure) {
  for (const int error : {EINVAL, EBADF, EOPNOTSUPP, ENOSYS}) {
    const TemporaryDirectory directory;
    const While none(directory_sync_error, error);
    EXPECT_THAT(save(directory.path() + "/a/b", 1, by_rows, 2), Each("")) << error;
  }
  const TemporaryDirectory directory;
  const While fails(directory_sync_error, EIO);
  EXPECT_THAT(save(directory.path(), 1, by_rows, 2),
              Each(AllOf(HasSubstr("cannot sync"), HasSubstr("Input/output error"))));
}

TEST(PoorDisk, WhatCannotBeRemovedIsANotice) {
  const TemporaryDirectory directory;
  const std::string leftover = directory.path() + "/.tmp-removed-step_00000001";
  std::filesystem::create_directory(leftover);
  write_file(leftover + "/.nfs0001", "x");
  const While held(remove_error, EBUSY);
  for (int64_t step = 1; step <= 4; ++step) {
    EXPECT_THAT(notices_of_a_save(directory.path(), step, {.keep_last = 2}),
                Contains(AllOf(HasSubstr("cannot remove"), HasSubstr(leftover))));
    EXPECT_TRUE(holds(directory.path() + "/" + "step_0000000" + std::to_string(step), step));
  }
  EXPECT_EQ(list_checkpoints(directory.path()).size(), 2u);
}

TEST(PoorDisk, PruningGoesOnPastWhatCannotBeRemoved) {
  const TemporaryDirectory directory;
  for (int64_t step = 1; step <= 3; ++step) {
    ASSERT_THAT(save(directory.path(), step, by_rows, 1), Each(""));
  }
  const While held(remove_error, EBUSY);
  const auto prune = [&] { prune_checkpoints(directory.path(), {.keep_last = 1}, false); };
  EXPECT_THAT(error_of(prune), AllOf(HasSubstr("removed-step_00000001"),
                                     HasSubstr("removed-step_00000002"), HasSubstr("busy")));
  EXPECT_EQ(list_checkpoints(directory.path()).size(), 1u);
}

TEST(PoorDisk, AFailedSaveWhoseDraftStaysSaysSo) {
  const TemporaryDirectory directory;
  const While held(remove_error, EBUSY);
  const auto hooks = parse_write_hooks("enospc@5");
  const auto change = [&](SaveRequest& request, int) { request.hooks = hooks.get(); };
  EXPECT_THAT(save(directory.path(), 1, by_rows, 1, change),
              Each(AllOf(HasSubstr("No space left on device"), HasSubstr("its draft stays"))));
}

TEST(PoorDisk, AReadErrorIsTriedAgainAndOneThatLastsIsNoDamage) {
  const TemporaryDirectory directory;
  for (int64_t step = 1; step <= 2; ++step) {
    ASSERT_THAT(save(directory.path(), step, by_rows, 1), Each(""));
  }
  std::vector<std::string> notices;
  {
    const While once(read_errors, 1);
    EXPECT_EQ(find_latest(directory.path(), notices)->step, 2);
    EXPECT_THAT(notices, IsEmpty());
  }
  const While always(read_errors, 1 << 20);
  EXPECT_EQ(kind_of([&] { find_latest(directory.path(), notices); }), ErrorKind::io);
  EXPECT_THAT(error_of([&] { find_latest(directory.path(), notices); }),
              AllOf(HasSubstr("Input/output error"), HasSubstr("keep them")));
}

}  // namespace
}  // namespace weft
