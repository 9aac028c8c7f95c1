// The subcommands of weft ckpt that have a file of their own, and what they share.
#pragma once

#include <string>

#include "launch/commands/command_line.h"

namespace weft {

// The step_N directory that the user means: the path itself, or the newest intact one below it.
// Says on standard error which damaged ones were passed over. Throws Error{input}.
std::string resolve_checkpoint(const std::string& path);

// Each adds its subcommand to `ckpt`; see commands.h.
void add_ckpt_diff(Command ckpt, int& exit_code);
void add_ckpt_export(Command ckpt, int& exit_code);
void add_ckpt_import(Command ckpt, int& exit_code);
void add_ckpt_prune(Command ckpt, int& exit_code);

}  // namespace weft
