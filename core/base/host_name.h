// What this machine is called.
#pragma once

#include <string>

namespace weft {

std::string host_name();  // "unknown host" where the system does not say

}  // namespace weft
