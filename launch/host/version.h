// Which weft this is.
#pragma once

#include <string_view>

namespace weft {

// The version of the CMake project, the commit it was built from and how: "0.1.0 (1a2b3c4d5e6f,
// Release)", with -dirty behind a commit that the sources differ from, "commit unknown" for sources
// that are no clone. The same for all programs that may be ranks of one job.
std::string_view version();

}  // namespace weft
