// WriteHooks: a place to make the writer's calls fail, one by one, for tests of what survives.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

namespace weft {

// Everything that the checkpoint writer does to a disk.
enum class WriteCall {
  make_directory,
  open_file,
  resize,
  write,
  sync,
  close_file,
  rename,
  remove,
};
std::string_view name(WriteCall call);

// What happens to one call: it fails with `error` (an errno, 0 for none), or moves at most
// `at_most` bytes.
struct WriteFault {
  int error = 0;
  int64_t at_most = std::numeric_limits<int64_t>::max();
};

class WriteHooks {
 public:
  virtual ~WriteHooks() = default;
  // Called before each call. May also end the process or wait. Ranks that are threads of one
  // process may share hooks; they are then called from all of them.
  virtual WriteFault before(WriteCall call, const std::string& path) = 0;
};

// Hooks that act at their k-th call (k >= 1). `text` is "ACTION@K" with ACTION one of kill
// (SIGKILL), eio, enospc, short (a write moves one byte), sleep (200 ms). Throws Error{usage} on
// anything else.
std::unique_ptr<WriteHooks> parse_write_hooks(std::string_view text);

}  // namespace weft
