#include "launch/show/terminal.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace weft {
namespace {

Terminal ask(int fd) {
  constexpr int kFallback = 80;
  const char* type = std::getenv("TERM");
  if (isatty(fd) == 0 || type == nullptr || std::string_view(type) == "dumb") return {};
  winsize size{};
  const bool known = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return {true, known ? size.ws_col : kFallback};
}

}  // namespace

Terminal find_terminal(int fd) {
  if (std::getenv("OMPI_COMM_WORLD_RANK") == nullptr) return ask(fd);
  const std::string path = fmt::format("/proc/{}/fd/{}", getppid(), fd);
  const int parent = open(path.c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (parent < 0) return {};
  const Terminal terminal = ask(parent);
  close(parent);
  return terminal;
}

double Window::steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Window::Window(std::function<Terminal()> ask, Clock clock)
    : ask_(std::move(ask)), clock_(std::move(clock)), asked_(clock_()), terminal_(ask_()) {}

int Window::columns() {
  constexpr double kApart = 1;
  if (!ask_ || !terminal_.live) return terminal_.columns;
  const double now = clock_();
  if (now - asked_ < kApart) return terminal_.columns;
  asked_ = now;
  const Terminal latest = ask_();
  if (latest.live) terminal_.columns = latest.columns;
  return terminal_.columns;
}

}  // namespace weft
