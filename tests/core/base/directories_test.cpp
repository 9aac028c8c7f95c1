#include "core/base/directories.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>

namespace weft {
namespace {

class Directories : public ::testing::Test {
 protected:
  Directories() : root_(fmt::format("{}weft-directories-{}", ::testing::TempDir(), getpid())) {
    std::filesystem::create_directory(root_);
    std::ofstream(root_ + "/file") << "x";
    std::filesystem::create_symlink("loop", root_ + "/loop");
    std::filesystem::create_symlink("nowhere", root_ + "/dangling");
  }
  ~Directories() override { std::filesystem::remove_all(root_); }

  static ErrorKind kind_of(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.kind();
    }
    ADD_FAILURE() << "no error";
    return ErrorKind::internal;
  }

  const std::string root_;
  const std::string long_name_ = std::string(300, 'x');
};

TEST_F(Directories, AreMadeWithAllAboveThem) {
  make_directories(root_ + "/a/b//c/");
  make_directories(root_ + "/a/b/c");
  EXPECT_TRUE(is_directory(root_ + "/a/b/c"));
}

TEST_F(Directories, ThatCannotBeMadeAreErrorsOfTheirKind) {
  for (const std::string& path :
       {root_ + "/file/below", root_ + "/file", root_ + "/loop/below", root_ + "/" + long_name_}) {
    EXPECT_EQ(kind_of([&] { make_directories(path); }), ErrorKind::input) << path;
  }
  EXPECT_EQ(kind_of_path_error(EACCES), ErrorKind::environment);
  EXPECT_EQ(kind_of_path_error(EIO), ErrorKind::io);
}

TEST_F(Directories, PathsThatLeadNowhereAreToldFromThoseThatCannotBeFollowed) {
  EXPECT_TRUE(leads_somewhere(root_ + "/file"));
  EXPECT_FALSE(is_directory(root_ + "/file"));
  for (const char* nothing : {"/none", "/file/below", "/dangling"}) {
    EXPECT_FALSE(leads_somewhere(root_ + nothing)) << nothing;
    EXPECT_FALSE(is_directory(root_ + nothing)) << nothing;
  }
  EXPECT_EQ(kind_of([&] { leads_somewhere(root_ + "/loop"); }), ErrorKind::input);
  EXPECT_EQ(kind_of([&] { is_directory(root_ + "/" + long_name_); }), ErrorKind::input);
}

TEST_F(Directories, ThatAreGoneCannotBeSynced) {
  EXPECT_EQ(sync_directory(root_), 0);
  EXPECT_EQ(sync_directory(root_ + "/none"), ENOENT);
  EXPECT_EQ(sync_directory(root_ + "/file"), ENOTDIR);
}

}  // namespace
}  // namespace weft
