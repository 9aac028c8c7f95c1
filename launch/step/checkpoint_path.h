// A checkpoint as the user names it: a step_N directory, or a directory of them.
#pragma once

#include <string>

namespace weft {

// Whether `path` is one checkpoint, intact or not.
bool is_checkpoint(const std::string& path);

// Throws Error{input} unless `path` is a directory; `name` is the option or key that has it.
void require_directory(const std::string& path, const std::string& name);

}  // namespace weft
