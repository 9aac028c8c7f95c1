// What paths lead to, with errors that say it, and directories that survive a power loss.
#pragma once

#include <string>

#include "core/base/error.h"

namespace weft {

// Puts the names in a directory on the disk. 0, or the errno of the failure. That a file system
// offers no such thing, or that the directory may not be read, is none: nothing was lost, and
// nothing more can be done.
int sync_directory(const std::string& path);

// The kind of a failed operation on a path: environment for what a permission forbids, input for a
// path that leads nowhere (a loop of links, a name too long, a file where a directory should be),
// else io. Of a file that is missing the caller knows more than this.
ErrorKind kind_of_path_error(int error);

// Whether the path leads, through links, to anything, and to a directory. Throws Error of
// kind_of_path_error where that cannot be told.
bool leads_somewhere(const std::string& path);
bool is_directory(const std::string& path);

// Makes the directory and what is missing above it, each synced in its parent. Throws Error of
// kind_of_path_error naming the directory that could not be made.
void make_directories(const std::string& path);

}  // namespace weft
