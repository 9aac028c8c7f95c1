// The text of a configuration file, if it can be one.
#pragma once

#include <string>

namespace weft {

struct ConfigText {
  std::string text;
  std::string problem;  // one line; not empty: there is no text
  int line = 0;         // where the problem is; 0: the file as a whole
  int column = 0;
};

// Reads the regular file `path`: at most 1 MiB of UTF-8 without control characters, at least one
// byte. Never waits on a pipe or a device.
ConfigText read_config_file(const std::string& path);

// Whether `text` is what a configuration may consist of; the problem as above.
ConfigText check_config_text(std::string text);

}  // namespace weft
