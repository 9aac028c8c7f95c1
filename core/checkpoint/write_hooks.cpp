#include "core/checkpoint/write_hooks.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <thread>
#include <utility>

#include "core/base/error.h"

namespace weft {
namespace {

enum class Action { kill, eio, enospc, short_write, sleep };

constexpr std::array<std::pair<std::string_view, Action>, 5> kActions{{
    {"kill", Action::kill},
    {"eio", Action::eio},
    {"enospc", Action::enospc},
    {"short", Action::short_write},
    {"sleep", Action::sleep},
}};

class ActAtCall : public WriteHooks {
 public:
  ActAtCall(Action action, int64_t call) : action_(action), remaining_(call) {}

  WriteFault before(WriteCall, const std::string&) override {
    if (remaining_.fetch_sub(1) != 1) return {};
    switch (action_) {
      case Action::kill:
        std::raise(SIGKILL);
        return {};
      case Action::eio:
        return {.error = EIO};
      case Action::enospc:
        return {.error = ENOSPC};
      case Action::short_write:
        return {.at_most = 1};
      case Action::sleep:
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        return {};
    }
    return {};
  }

 private:
  Action action_;
  std::atomic<int64_t> remaining_;
};

}  // namespace

std::string_view name(WriteCall call) {
  switch (call) {
    case WriteCall::make_directory:
      return "make directory";
    case WriteCall::open_file:
      return "open";
    case WriteCall::resize:
      return "resize";
    case WriteCall::write:
      return "write";
    case WriteCall::sync:
      return "sync";
    case WriteCall::close_file:
      return "close";
    case WriteCall::rename:
      return "rename";
    case WriteCall::remove:
      return "remove";
  }
  return "call";
}

std::unique_ptr<WriteHooks> parse_write_hooks(std::string_view text) {
  const size_t at = text.find('@');
  for (const auto& [word, action] : kActions) {
    if (at == std::string_view::npos || text.substr(0, at) != word) continue;
    int64_t call = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + at + 1, end, call);
    if (error == std::errc() && stop == end && call > 0) {
      return std::make_unique<ActAtCall>(action, call);
    }
  }
  fail(ErrorKind::usage,
       "write hook '{}' is not one of kill|eio|enospc|short|sleep@CALL, CALL >= 1", text);
}

}  // namespace weft
