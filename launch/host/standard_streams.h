// Standard input, output and error as this process got them: closed, full, or as they should be.
#pragma once

#include <optional>
#include <string>

namespace weft {

// For main, first of all: takes the numbers of those that are closed, so that no file of ours is
// opened under one of them and gets what is meant for people. Reading from them finds the end, and
// writing to them fails.
void hold_standard_streams();

// Writes what standard output still holds. The reason when something written to it is lost.
std::optional<std::string> finish_output();

}  // namespace weft
