// Whether somebody is watching, and how wide the window is.
#pragma once

#include <functional>

namespace weft {

struct Terminal {
  bool live = false;  // a person sees the stream, and a line can be rewritten in place
  int columns = 80;
};

// What lies behind file descriptor `fd` of this process. Under Open MPI's mpirun every rank writes
// to a pseudo terminal of mpirun's own, whoever reads the other end; there the descriptor of the
// same number of the parent process, which is mpirun on its own host, is asked instead.
Terminal find_terminal(int fd);

// A terminal whose window people resize: asks for its width again, once a second at most.
class Window {
 public:
  using Clock = std::function<double()>;  // seconds, never going back
  static double steady_seconds();

  explicit Window(std::function<Terminal()> ask, Clock clock = steady_seconds);
  Window(Terminal fixed) : terminal_(fixed) {}

  bool live() const { return terminal_.live; }
  int columns();

 private:
  std::function<Terminal()> ask_;  // empty: it never changes
  Clock clock_;
  double asked_ = 0;
  Terminal terminal_;
};

}  // namespace weft
