#include "launch/host/contention.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kShortest = 200'000'000;  // nanoseconds, of all threads together

double share(int64_t part, int64_t whole) {
  return whole > 0 ? std::clamp(static_cast<double>(part) / static_cast<double>(whole), 0.0, 1.0)
                   : 0.0;
}

}  // namespace

std::string to_text(const CoreTime& time) {
  std::string text =
      fmt::format("threads waited {:.0f} % of their time for a core", 100 * time.waiting);
  if (time.stolen >= 0.005) {
    text += fmt::format(", the hypervisor took {:.0f} % of the machine's", 100 * time.stolen);
  }
  return text;
}

Contention::Contention(std::string root) : root_(std::move(root)), last_(read()) {}

Contention::Reading Contention::read() const {
  Reading reading;
  std::error_code ignored;
  for (fs::directory_iterator task(root_ + "/proc/self/task", ignored), end;
       !ignored && task != end; task.increment(ignored)) {
    int64_t ran = 0, waited = 0;
    std::ifstream file(task->path() / "schedstat");
    if (!(file >> ran >> waited)) continue;
    reading.ran += ran;
    reading.waited += waited;
  }
  std::ifstream file(root_ + "/proc/stat");
  std::string name;
  file >> name;  // user nice system idle iowait irq softirq steal
  for (int column = 0; column < 8; ++column) {
    int64_t ticks = 0;
    if (!(file >> ticks)) break;
    reading.all += ticks;
    if (column == 7) reading.stolen = ticks;
  }
  return reading;
}

std::optional<CoreTime> Contention::look() {
  const Reading now = read();
  // Of threads that have ended nothing is known any more.
  const int64_t ran = std::max<int64_t>(0, now.ran - last_.ran);
  const int64_t waited = std::max<int64_t>(0, now.waited - last_.waited);
  if (ran + waited < kShortest) return std::nullopt;
  const CoreTime time{share(waited, ran + waited),
                      share(now.stolen - last_.stolen, now.all - last_.all)};
  last_ = now;
  return time;
}

}  // namespace weft
