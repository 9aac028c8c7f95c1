#include "launch/report_error.h"

#include <fmt/core.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>

namespace weft {
namespace {

std::optional<int> number(const char* text) {
  if (text == nullptr) return std::nullopt;
  const std::string_view digits(text);
  int value = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), value);
  if (error != std::errc() || end != digits.end()) return std::nullopt;
  return value;
}

int say(ErrorKind kind, const std::string& line) {
  std::fflush(stdout);
  std::fwrite(line.data(), 1, line.size(), stderr);
  return exit_code(kind);
}

}  // namespace

std::optional<RankInWorld> announced_rank(GetVariable get) {
  constexpr const char* kVariables[][2] = {
      {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
      {"RANK", "WORLD_SIZE"},
      {"SLURM_PROCID", "SLURM_NTASKS"},
  };
  for (const auto& [rank_name, size_name] : kVariables) {
    const std::optional<int> rank = number(get(rank_name));
    const std::optional<int> size = number(get(size_name));
    if (rank && size && *rank >= 0 && *rank < *size) return RankInWorld{*rank, *size, {}};
  }
  return std::nullopt;
}

std::string error_line(ErrorKind kind, std::string_view message, std::optional<RankInWorld> place) {
  std::string prefix;
  if (place && place->size > 1) {
    const std::string where = place->host.empty() ? "" : " on " + place->host;
    prefix = fmt::format("[rank {}/{}{}] ", place->rank, place->size, where);
  }
  return fmt::format("{}weft: {}: {}\n", prefix, name(kind), message);
}

int report_error(ErrorKind kind, std::string_view message) {
  const auto get = [](const char* variable) -> const char* { return std::getenv(variable); };
  return say(kind, error_line(kind, message, announced_rank(get)));
}

int report_error(ErrorKind kind, std::string_view message, const RankInWorld& place) {
  return say(kind, error_line(kind, message, place));
}

}  // namespace weft
