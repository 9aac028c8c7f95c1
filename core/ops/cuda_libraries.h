// The libraries that operations on GPUs open at run time, for people.
#pragma once

#include <string>
#include <vector>

namespace weft {

struct CudaLibrary {
  std::string name;
  std::string version;  // empty if it cannot be opened
  std::string problem;  // then why not
};

// Opens each and asks its version, and where there is a GPU who computes attention there. Empty in
// a build without CUDA.
std::vector<CudaLibrary> cuda_libraries();

}  // namespace weft
