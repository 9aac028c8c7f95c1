#include "launch/step/peak_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <system_error>

#include "launch/host/cache_folder.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostKept = 256;  // of builds, and of hosts that share a home directory

// A line is "OPERATIONS_PER_SECOND KEY".
std::map<std::string, double> read(const std::string& path) {
  std::map<std::string, double> peaks;
  std::ifstream file(path);
  for (std::string line; peaks.size() < kMostKept && std::getline(file, line);) {
    std::istringstream words(line);
    double value = 0;
    std::string key;
    if (!(words >> value) || !std::getline(words >> std::ws, key)) continue;
    if (std::isfinite(value) && value > 0) peaks[key] = value;
  }
  return peaks;
}

}  // namespace

std::string PeakFile::default_path() {
  const auto folder = cache_folder();
  return folder ? (fs::path(*folder) / "peaks").string() : std::string();
}

double PeakFile::get(const std::string& key) const {
  if (path_.empty()) return 0;
  const std::map<std::string, double> peaks = read(path_);
  const auto found = peaks.find(key);
  return found == peaks.end() ? 0 : found->second;
}

void PeakFile::raise(const std::string& key, double flops_per_second) const {
  if (path_.empty() || !std::isfinite(flops_per_second)) return;
  std::map<std::string, double> peaks = read(path_);
  const auto found = peaks.find(key);
  if (found != peaks.end() && found->second >= flops_per_second) return;
  if (peaks.size() >= kMostKept) peaks.clear();
  peaks[key] = flops_per_second;
  // Whole or not at all: runs that end together replace each other's file.
  std::error_code error;
  fs::create_directories(fs::path(path_).parent_path(), error);
  const std::string aside = fmt::format("{}.{}", path_, getpid());
  {
    std::ofstream file(aside);
    for (const auto& [name, value] : peaks) file << fmt::format("{:.6e} {}\n", value, name);
    if (!file.flush()) error = std::make_error_code(std::errc::io_error);
  }
  if (!error) fs::rename(aside, path_, error);
  if (error) fs::remove(aside, error);
}

}  // namespace weft
