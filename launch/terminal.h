// Whether somebody is watching, and how wide the window is.
#pragma once

namespace weft {

struct Terminal {
  bool live = false;  // a person sees the stream, and a line can be rewritten in place
  int columns = 80;
};

// What lies behind file descriptor `fd` of this process. Under Open MPI's mpirun every rank writes
// to a pseudo terminal of mpirun's own, whoever reads the other end; there the descriptor of the
// same number of the parent process, which is mpirun on its own host, is asked instead.
Terminal find_terminal(int fd);

}  // namespace weft
