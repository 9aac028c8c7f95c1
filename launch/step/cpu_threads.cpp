#include "launch/step/cpu_threads.h"

#include <algorithm>
#include <sstream>

#include "core/device/cpu/thread_team.h"
#include "launch/host/machine.h"

namespace weft {
namespace {

// What a rank tells the others of where it runs: "HOST\nCORE CORE ...".
std::string place_of(const Machine& machine) {
  std::string text = machine.host + "\n";
  for (int core : machine.usable_cores) text += std::to_string(core) + " ";
  return text;
}

std::vector<int> cores_in(const std::string& place) {
  std::istringstream numbers(place.substr(place.find('\n') + 1));
  std::vector<int> cores;
  for (int core = 0; numbers >> core;) cores.push_back(core);
  return cores;
}

int threads_of(const Machine& machine, const std::vector<std::string>& places, int rank) {
  const std::string host = machine.host + "\n";
  std::vector<std::vector<int>> masks;
  int own = 0;
  for (size_t i = 0; i < places.size(); ++i) {
    if (!places[i].starts_with(host)) continue;
    if (static_cast<int>(i) == rank) own = static_cast<int>(masks.size());
    masks.push_back(cores_in(places[i]));
  }
  std::optional<double> quota;
  if (machine.cpu_quota) quota = machine.cpu_quota->cores;
  const int share = share_of_cores(masks, own, quota);
  return std::clamp(share, 1, std::max(1, thread_limit().value_or(share)));
}

}  // namespace

int compute_threads(const CpuConfig& config, Bootstrap& bootstrap) {
  if (config.threads) return static_cast<int>(*config.threads);
  const Machine machine = read_machine();
  return threads_of(machine, bootstrap.all_gather(place_of(machine)), bootstrap.rank());
}

int compute_threads(const CpuConfig& config) {
  if (config.threads) return static_cast<int>(*config.threads);
  const Machine machine = read_machine();
  return threads_of(machine, {place_of(machine)}, 0);
}

}  // namespace weft
