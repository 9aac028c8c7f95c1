// The program `weft`: a table of commands, and the one place where errors end.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <new>
#include <string>

#include "core/base/error.h"
#include "launch/commands/commands.h"
#include "launch/report_error.h"
#include "launch/version.h"

namespace {

using AddCommand = void (*)(CLI::App& root, int& exit_code);

constexpr AddCommand kCommands[] = {
    weft::add_doctor_command,
};

// Parses the command line, which runs the command. CLI11 speaks of a request for help as an error
// too: those it answers itself, on standard output.
int run(CLI::App& root, int argc, char** argv, int& exit_code) {
  try {
    root.parse(argc, argv);
    return exit_code;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return root.exit(error);
    weft::fail(weft::ErrorKind::usage,
               "{}; `weft --help` and `weft COMMAND --help` list what there is", error.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    int exit_code = 0;
    CLI::App root("weft trains GPTs across many ranks from one YAML file.", "weft");
    root.require_subcommand(1);
    root.set_version_flag("--version", "weft " + std::string(weft::version()));
    for (AddCommand add : kCommands) add(root, exit_code);
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
