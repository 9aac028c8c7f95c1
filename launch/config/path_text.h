// Paths as people write them where no shell has read them first.
//
// Values of configuration keys (also by --set): a leading `~` is the home directory, $NAME and
// ${NAME} are variables of the environment, $$ is a dollar sign. Options of the command line: `~`
// alone, for the shell leaves it in --output=~/data, while it has replaced the variables. `~name`,
// another user's home, is refused in both; ./~name is a file of that name.
#pragma once

#include <string>

namespace weft {

// Looks up one environment variable: its value, or nullptr. std::getenv is one.
using Environment = const char* (*)(const char* name);

struct PathText {
  std::string path;
  std::string problem;  // not empty: there is no path
};

PathText expand_home(const std::string& text, Environment get);
PathText expand_path(const std::string& text, Environment get);

// What expand_path gives `path` for, which it has given before.
std::string escape_path(const std::string& path);

// Of the environment of this process.
PathText expand_home(const std::string& text);
PathText expand_path(const std::string& text);

}  // namespace weft
