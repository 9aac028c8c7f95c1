#include "launch/train/checkpoint_room.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "core/checkpoint/checkpoint.h"

namespace weft {
namespace {

std::string size(int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  return bytes < 1'000'000'000 ? fmt::format("{:.1f} MB", value / 1e6)
                               : fmt::format("{:.1f} GB", value / 1e9);
}

}  // namespace

int64_t checkpoint_bytes(const ParameterSet& parameters, const Optimizer& optimizer,
                         int64_t boxes) {
  constexpr int64_t kBytesOfABox = 800;  // in the shard file and in the manifest
  constexpr int64_t kRest = 16 << 10;    // attached files, without large vocabularies
  int64_t here = 0;                      // elements of the parameters that this rank's stage holds
  double tensors = 0;                    // bytes that they and their states take
  for (const auto& p : parameters) {
    size_t bytes = sizeof(float);
    for (const StateTensor& state : optimizer.states(*p)) bytes += size_of(state.own.dtype());
    here += elements(p->spec);
    tensors += static_cast<double>(bytes) * static_cast<double>(elements(p->spec));
  }
  const double of_all =
      here == 0 ? 0 : static_cast<double>(parameters.global_elements()) / static_cast<double>(here);
  return static_cast<int64_t>(tensors * of_all) + boxes * kBytesOfABox + kRest;
}

int64_t most_checkpoints(const RunConfig& config, int64_t step, int64_t last) {
  if (last <= step) return 0;
  const int64_t every = config.checkpoint.interval;
  // One at each multiple of the interval, and one at the end.
  const int64_t saves = (every > 0 ? (last - 1) / every - step / every : 0) + 1;
  const int64_t keep = config.checkpoint.keep_last;
  return keep > 0 ? std::min(keep + 1, saves) : saves;
}

std::string room_notice(const std::string& directory, int64_t free, int64_t copies, int64_t present,
                        int64_t bytes) {
  const int64_t needed = std::max<int64_t>(copies - present, 0) * bytes;
  if (free >= needed) return "";
  return fmt::format(
      "{} of disk are free in {}, the checkpoints to come need {}: {} at once of {} each, {} there "
      "now; a save without room is lost: free some space, lower checkpoint.keep_last, or choose "
      "another checkpoint.directory",
      size(free), directory, size(needed), copies, size(bytes), present);
}

std::string room_notice(const RunConfig& config, int64_t copies, int64_t bytes) {
  const std::string directory = config.checkpoint_directory();
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(directory, error);
  if (error || space.capacity == 0) return "";
  return room_notice(directory, static_cast<int64_t>(space.available), copies,
                     static_cast<int64_t>(list_checkpoints(directory).size()), bytes);
}

}  // namespace weft
