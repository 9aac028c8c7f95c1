// A shared library that is opened when it is first needed, so that the program starts without it.
#pragma once

#include <string>

namespace weft {

class DynamicLibrary {
 public:
  // Opens `name` as the system finds it, else in `folder`, where the build found it. Throws
  // Error{environment} with both reasons.
  DynamicLibrary(const std::string& name, const std::string& folder);
  ~DynamicLibrary();
  DynamicLibrary(const DynamicLibrary&) = delete;
  DynamicLibrary& operator=(const DynamicLibrary&) = delete;

  // Stores the address of a function; throws Error{environment} if the library lacks it.
  template <typename F>
  void find(const char* name, F*& function) const {
    function = reinterpret_cast<F*>(address(name));
  }
  void* handle() const { return handle_; }

 private:
  void* address(const char* name) const;

  std::string name_;
  void* handle_ = nullptr;
};

}  // namespace weft
