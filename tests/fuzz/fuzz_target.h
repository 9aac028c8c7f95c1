// The entry point of a fuzz target, as libFuzzer calls it, and how a target says that what it saw
// is wrong. replay_main.cpp calls it with the files of a corpus and with mutations of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

// Takes any bytes; returns 0, or ends the process where something is wrong.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace weft {

// Ends the process with a message unless `holds`.
inline void require(bool holds, const char* message) {
  if (holds) return;
  std::fprintf(stderr, "fuzz target: %s\n", message);
  std::abort();
}

}  // namespace weft
