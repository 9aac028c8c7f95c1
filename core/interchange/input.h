// Files that the user names, or that lie in a folder which the user names.
#pragma once

#include <string>

#include "core/checkpoint/files.h"

namespace weft {

// Opens a regular file for reading, through symbolic links: caches of downloads consist of them.
// Never waits on a pipe or a device. Throws Error{input} where there is none that can be read.
FileDescriptor open_input(const std::string& path);

}  // namespace weft
