#include "core/ops/cuda/dynamic_library.h"

#include <dlfcn.h>

#include "core/base/error.h"

namespace weft {

namespace {

// Libraries keep threads and each other's addresses: once open, they stay where they are.
constexpr int kMode = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;

}  // namespace

DynamicLibrary::DynamicLibrary(const std::string& name, const std::string& folder) : name_(name) {
  handle_ = dlopen(name.c_str(), kMode);
  if (handle_ != nullptr) return;
  const std::string first = dlerror();
  handle_ = dlopen((folder + "/" + name).c_str(), kMode);
  if (handle_ != nullptr) return;
  fail(ErrorKind::environment, "cannot open {}: {}; {}; put its folder into LD_LIBRARY_PATH", name,
       first, dlerror());
}

DynamicLibrary::~DynamicLibrary() { dlclose(handle_); }

void* DynamicLibrary::address(const char* name) const {
  void* found = dlsym(handle_, name);
  if (found == nullptr) fail(ErrorKind::environment, "{} has no function {}", name_, name);
  return found;
}

}  // namespace weft
