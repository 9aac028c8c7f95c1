// The subcommands of weft ckpt that have a file of their own, and what they share.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace weft {

// The step_N directory that the user means: the path itself, or the newest intact one below it.
// Says on standard error which damaged ones were passed over. Throws Error{input}.
std::string resolve_checkpoint(const std::string& path);

// Each adds its subcommand to `ckpt`; see commands.h.
void add_ckpt_diff(CLI::App& ckpt, int& exit_code);
void add_ckpt_export(CLI::App& ckpt, int& exit_code);
void add_ckpt_import(CLI::App& ckpt, int& exit_code);
void add_ckpt_prune(CLI::App& ckpt, int& exit_code);

}  // namespace weft
