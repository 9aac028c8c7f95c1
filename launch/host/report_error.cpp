#include "launch/host/report_error.h"

#include <fmt/core.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <system_error>

#include "core/base/directories.h"
#include "launch/host/standard_streams.h"

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

Error as_error(const std::exception& exception) {
  if (const auto* error = dynamic_cast<const Error*>(&exception)) return *error;
  if (dynamic_cast<const std::bad_alloc*>(&exception) != nullptr) {
    return Error(ErrorKind::environment,
                 "out of memory; a smaller model, batch or block needs less");
  }
  if (const auto* files = dynamic_cast<const std::filesystem::filesystem_error*>(&exception)) {
    std::string paths = files->path1().string();
    if (!files->path2().empty()) paths += " and " + files->path2().string();
    const bool missing = files->code() == std::errc::no_such_file_or_directory;
    const ErrorKind kind = missing ? ErrorKind::input : kind_of_path_error(files->code().value());
    return Error(kind, fmt::format("{}: {}", paths, files->code().message()));
  }
  if (const auto* system = dynamic_cast<const std::system_error*>(&exception)) {
    // A thread that cannot be made.
    const bool no_room = system->code() == std::errc::resource_unavailable_try_again ||
                         system->code() == std::errc::not_enough_memory;
    return Error(no_room ? ErrorKind::environment : ErrorKind::internal, system->what());
  }
  return Error(ErrorKind::internal, exception.what());
}

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
  } catch (const std::filesystem::filesystem_error& exception) {
    const Error error = as_error(exception);
    return report_error(error.kind(), error.what());
  } catch (const std::system_error& exception) {
    // fmt throws where a line cannot be written.
    if (finish_output()) return report_lost_output(exception.code().message());
    const Error error = as_error(exception);
    return report_error(error.kind(), error.what());
  } catch (const std::exception& exception) {
    const Error error = as_error(exception);
    return report_error(error.kind(), error.what());
  }
}

}  // namespace weft
