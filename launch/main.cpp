// The program `weft`: a table of commands, and the one place where errors end.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "launch/commands/commands.h"
#include "launch/report_error.h"
#include "launch/version.h"

namespace {

using AddCommand = void (*)(CLI::App& root, int& exit_code);

// One command a line.
// clang-format off
constexpr AddCommand kCommands[] = {
    weft::add_bench_command,
    weft::add_ckpt_command,
    weft::add_config_command,
    weft::add_detokenize_command,
    weft::add_doctor_command,
    weft::add_generate_command,
    weft::add_launch_command,
    weft::add_plan_command,
    weft::add_prepare_command,
    weft::add_tokenize_command,
    weft::add_train_command,
    weft::add_verify_command,
};
// clang-format on

// CLI11 says of a mistyped command only that one is required.
void refuse_unknown_command(const CLI::App& root, std::string_view command) {
  std::vector<std::string> known;
  for (const CLI::App* app : root.get_subcommands([](const CLI::App*) { return true; })) {
    known.push_back(app->get_name());
  }
  if (std::find(known.begin(), known.end(), command) != known.end()) return;
  const std::optional<std::string> meant = weft::nearest(command, known);
  weft::fail(weft::ErrorKind::usage, "there is no command '{}'{}; the commands are: {}", command,
             meant ? fmt::format(", did you mean '{}'?", *meant) : "", fmt::join(known, ", "));
}

// Parses the command line, which runs the command. CLI11 speaks of a request for help as an error
// too: those it answers itself, on standard output.
int run(CLI::App& root, int argc, char** argv, int& exit_code) {
  try {
    root.parse(argc, argv);
    if (!root.get_subcommands().empty()) return exit_code;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return root.exit(error);
    weft::fail(weft::ErrorKind::usage,
               "{}; `weft --help` and `weft COMMAND --help` list what there is", error.what());
  }
  weft::fail(weft::ErrorKind::usage, "which command? `weft --help` lists them");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    int exit_code = 0;
    CLI::App root("weft trains GPTs across many ranks from one YAML file.", "weft");
    root.require_subcommand(0, 1);
    root.set_version_flag("--version", "weft " + std::string(weft::version()));
    for (AddCommand add : kCommands) add(root, exit_code);
    if (argc > 1 && argv[1][0] != '-') refuse_unknown_command(root, argv[1]);
    return run(root, argc, argv, exit_code);
  } catch (const weft::Error& error) {
    return weft::report_error(error.kind(), error.what());
  } catch (const std::bad_alloc&) {
    return weft::report_error(weft::ErrorKind::environment,
                              "out of memory; a smaller model, batch or block needs less");
  } catch (const std::exception& error) {
    return weft::report_error(weft::ErrorKind::internal, error.what());
  }
}
