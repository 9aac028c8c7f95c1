#include "launch/host/cache_folder.h"

#include <gtest/gtest.h>

#include <string_view>

namespace weft {
namespace {

TEST(CacheFolder, TakesTheFirstPlaceThatIsAPath) {
  const auto all = [](const char* name) -> const char* {
    const std::string_view key(name);
    return key == "WEFT_CACHE" ? "/cache" : key == "HOME" ? "/home/me" : nullptr;
  };
  EXPECT_EQ(cache_folder(all), "/cache");
  const auto home = [](const char* name) -> const char* {
    const std::string_view key(name);
    return key == "HOME" ? "/home/me" : key == "XDG_CACHE_HOME" ? "relative" : "";
  };
  EXPECT_EQ(cache_folder(home), "/home/me/.cache/weft");
  const auto standard = [](const char* name) -> const char* {
    return std::string_view(name) == "XDG_CACHE_HOME" ? "/scratch" : nullptr;
  };
  EXPECT_EQ(cache_folder(standard), "/scratch/weft");
  EXPECT_EQ(cache_folder([](const char*) -> const char* { return nullptr; }), std::nullopt);
}

}  // namespace
}  // namespace weft
