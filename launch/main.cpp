// The program `weft`: a table of commands, and the one place where errors end.
#include <csignal>
#include <optional>
#include <string>

#include "core/base/error.h"
#include "launch/commands/commands.h"
#include "launch/host/report_error.h"
#include "launch/host/standard_streams.h"
#include "launch/host/version.h"

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

// The whole program but for its output, whose last part is still to be written.
int run_program(int argc, char** argv) {
  try {
    int exit_code = 0;
    weft::CommandLine line("weft", "weft trains GPTs across many ranks from one YAML file.",
                           "weft " + std::string(weft::version()));
    for (AddCommand add : kCommands) add(line.root(), exit_code);
    line.parse({argv + 1, argv + argc});
    return exit_code;
  } catch (...) {
    return weft::report_current_exception();
  }
}

}  // namespace

int main(int argc, char** argv) {
  weft::hold_standard_streams();
  // A file over the limit of `ulimit -f` is then an error of write.
  std::signal(SIGXFSZ, SIG_IGN);
  const int exit_code = run_program(argc, argv);
  const std::optional<std::string> lost = weft::finish_output();
  if (!lost || exit_code != 0) return exit_code;
  return weft::report_lost_output(*lost);
}
