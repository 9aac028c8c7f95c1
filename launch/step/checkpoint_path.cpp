#include "launch/step/checkpoint_path.h"

#include <filesystem>

#include "core/base/error.h"
#include "core/checkpoint/manifest.h"

namespace weft {

namespace fs = std::filesystem;

bool is_checkpoint(const std::string& path) {
  std::error_code error;
  return fs::exists(fs::path(path) / kManifestName, error);
}

void require_directory(const std::string& path, const std::string& name) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) return;
  const std::string problem = status.type() == fs::file_type::not_found ? "does not exist"
                              : fs::exists(status)                      ? "is no directory"
                                                                        : error.message();
  fail(ErrorKind::input, "{}: {} {}; give a step_N directory or the one that holds them", name,
       path, problem);
}

}  // namespace weft
