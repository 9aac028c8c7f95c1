// Which weft this is.
#pragma once

#include <string_view>

namespace weft {

// "major.minor.patch" of the CMake project.
std::string_view version();

}  // namespace weft
