#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "parallel/comm/tcp/tcp_bootstrap.h"

namespace weft {
namespace {

class Reader {
 public:
  explicit Reader(GetVariable get) : get_(get) {}

  // The number of a variable, if it is there; notes what is wrong with it.
  std::optional<int> number(const char* name, int least, int most) {
    const char* text = get_(name);
    if (text == nullptr) return std::nullopt;
    const std::string_view digits(text);
    int value = 0;
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), value);
    if (error == std::errc() && end == digits.end() && least <= value && value <= most)
      return value;
    wrong_.push_back(fmt::format("{}={} is no number from {} to {}", name, text, least, most));
    return std::nullopt;
  }
  void demand(const char* name) {
    if (get_(name) == nullptr) wrong_.push_back(fmt::format("{} is missing", name));
  }
  const std::vector<std::string>& wrong() const { return wrong_; }

 private:
  GetVariable get_;
  std::vector<std::string> wrong_;
};

}  // namespace

std::optional<Placing> placing_of(GetVariable get) {
  constexpr int kMost = std::numeric_limits<int>::max();
  const bool has_master = get("MASTER_ADDR") != nullptr && get("MASTER_PORT") != nullptr;
  const bool is_slurm = get("RANK") == nullptr && get("WORLD_SIZE") == nullptr && has_master &&
                        get("SLURM_PROCID") != nullptr && get("SLURM_STEP_NUM_TASKS") != nullptr;
  const char* const rank_name = is_slurm ? "SLURM_PROCID" : "RANK";
  const char* const size_name = is_slurm ? "SLURM_STEP_NUM_TASKS" : "WORLD_SIZE";
  if (get(rank_name) == nullptr || get(size_name) == nullptr) return std::nullopt;
  Reader read(get);
  Placing placing;
  placing.size = read.number(size_name, 1, kMost).value_or(1);
  if (placing.size == 1 && read.wrong().empty()) return std::nullopt;
  placing.rank = read.number(rank_name, 0, placing.size - 1).value_or(0);
  read.demand("MASTER_ADDR");
  read.demand("MASTER_PORT");
  constexpr int kPorts = std::numeric_limits<uint16_t>::max();
  const int port = read.number("MASTER_PORT", 1, kPorts).value_or(0);
  placing.local_rank = read.number("LOCAL_RANK", 0, placing.size - 1);
  placing.local_size = read.number("LOCAL_WORLD_SIZE", 1, placing.size);
  if (!read.wrong().empty()) {
    fail(ErrorKind::environment,
         "{} and {} ask for a job of several ranks, but {}; start them with `weft launch -n N -- "
         "train ...`, or unset {} to run alone",
         rank_name, size_name, fmt::join(read.wrong(), ", "), rank_name);
  }
  placing.master = {get("MASTER_ADDR"), static_cast<uint16_t>(port)};
  return placing;
}

}  // namespace weft
