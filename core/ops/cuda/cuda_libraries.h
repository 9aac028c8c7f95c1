// A library that operations on GPUs open at run time, for people.
#pragma once

#include <string>
#include <vector>

namespace weft {

struct CudaLibrary {
  std::string name;
  std::string version;  // empty if it cannot be opened
  std::string problem;  // then why not
};

}  // namespace weft
