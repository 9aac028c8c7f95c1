// The commands of the program, one function and one file each; launch/main.cpp holds the table.
//
// add_NAME_command adds the subcommand NAME to `root` and gives it a callback, which runs once the
// whole command line has been parsed. The callback either sets `exit_code` (0 on entry) or throws
// weft::Error; main turns the error into one message and the exit code of its kind. Both references
// outlive the parse.
#pragma once

#include "launch/commands/command_line.h"

namespace weft {

void add_bench_command(Command root, int& exit_code);
void add_ckpt_command(Command root, int& exit_code);
void add_config_command(Command root, int& exit_code);
void add_detokenize_command(Command root, int& exit_code);
void add_doctor_command(Command root, int& exit_code);
void add_generate_command(Command root, int& exit_code);
void add_launch_command(Command root, int& exit_code);
void add_plan_command(Command root, int& exit_code);
void add_prepare_command(Command root, int& exit_code);
void add_tokenize_command(Command root, int& exit_code);
void add_train_command(Command root, int& exit_code);
void add_verify_command(Command root, int& exit_code);

}  // namespace weft
