// Numbers as people read them: counts, durations, rates. One place, so that every command writes
// them alike.
#pragma once

#include <cstdint>
#include <string>

namespace weft {

// "1.5 GiB": binary units, three significant digits at most. Negative counts are not expected.
std::string format_bytes(int64_t bytes);
// "950", "12.3k", "4.56M", "1.2G": decimal units, three significant digits at most.
std::string format_count(double count);
// "8s", "1m05s", "2h03m", "3d04h"; rounds to the smaller unit shown. "?" when negative or not
// finite.
std::string format_duration(double seconds);

}  // namespace weft
