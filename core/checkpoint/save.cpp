#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "core/checkpoint/agreement.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/save_stages.h"
#include "core/mesh/communicator.h"

namespace weft {

SaveResult save_checkpoint(const SaveRequest& request, Bootstrap& bootstrap) {
  const auto start = std::chrono::steady_clock::now();
  const bool first = bootstrap.rank() == 0;
  FileWriter writer(request.hooks);
  std::optional<DirectoryLock> own_lock;

  SaveResult result;
  const std::string staged = stage_save(request, bootstrap, writer, own_lock, result.notices);
  const Outcome written =
      attempt([&] { return write_shards(request, bootstrap.rank(), staged, writer); });
  std::vector<std::string> parts;
  try {
    parts = agree(written, request.step, bootstrap);
  } catch (const Error& error) {
    if (first) discard_save(staged, error);
    throw;
  }
  Outcome published;
  if (first) {
    published = attempt([&] {
      Committed committed = commit_save(request, staged, parts, writer);
      for (std::string& notice : committed.notices) result.notices.push_back(std::move(notice));
      return fmt::format("{} {}", committed.bytes, committed.path);
    });
  }
  const std::string text = agree_with_rank_zero(published, request.step, bootstrap);
  const size_t space = text.find(' ');
  result.bytes = std::stoll(text.substr(0, space));
  result.path = text.substr(space + 1);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace weft
