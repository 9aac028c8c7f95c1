// Where weft keeps what it can find out again: facts about data files, measurements of this
// machine.
#pragma once

#include <optional>
#include <string>

#include "launch/host/report_error.h"

namespace weft {

// $WEFT_CACHE, else $XDG_CACHE_HOME/weft, else $HOME/.cache/weft; nothing where none of the three
// is an absolute path. The folder need not exist yet, and may be deleted at any time.
std::optional<std::string> cache_folder(GetVariable get);
std::optional<std::string> cache_folder();  // of this process's environment

}  // namespace weft
