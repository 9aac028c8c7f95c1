#include "launch/report_error.h"

#include <fmt/core.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>

#include "core/base/directories.h"
#include "launch/standard_streams.h"

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

int report_lost_output(std::string_view reason) {
  return report_error(ErrorKind::io, fmt::format("cannot write to standard output: {}", reason));
}

int report_current_exception() {
  try {
    throw;
  } catch (const Error& error) {
    return report_error(error.kind(), error.what());
  } catch (const std::bad_alloc&) {
    return report_error(ErrorKind::environment,
                        "out of memory; a smaller model, batch or block needs less");
  } catch (const std::filesystem::filesystem_error& error) {
    return report_error(kind_of_path_error(error.code().value()), error.what());
  } catch (const std::system_error& error) {
    // fmt throws where a line cannot be written.
    if (finish_output()) return report_lost_output(error.code().message());
    return report_error(ErrorKind::internal, error.what());
  } catch (const std::exception& error) {
    return report_error(ErrorKind::internal, error.what());
  }
}

}  // namespace weft
