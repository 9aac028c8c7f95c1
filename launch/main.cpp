// The program `weft`: a table of commands, and the one place where errors end.
#include <new>
#include <string>

#include "core/base/error.h"
#include "launch/commands/commands.h"
#include "launch/report_error.h"
#include "launch/version.h"

namespace {

using AddCommand = void (*)(weft::Command root, int& exit_code);

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

}  // namespace

int main(int argc, char** argv) {
  try {
    int exit_code = 0;
    weft::CommandLine line("weft", "weft trains GPTs across many ranks from one YAML file.",
                           "weft " + std::string(weft::version()));
    for (AddCommand add : kCommands) add(line.root(), exit_code);
    line.parse({argv + 1, argv + argc});
    return exit_code;
  } catch (const weft::Error& error) {
    return weft::report_error(error.kind(), error.what());
  } catch (const std::bad_alloc&) {
    return weft::report_error(weft::ErrorKind::environment,
                              "out of memory; a smaller model, batch or block needs less");
  } catch (const std::exception& error) {
    return weft::report_error(weft::ErrorKind::internal, error.what());
  }
}
