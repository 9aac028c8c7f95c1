// weft ckpt prune: delete checkpoints that are no longer wanted.
#include <fmt/core.h>

#include <memory>
#include <string>

#include "core/checkpoint/checkpoint.h"
#include "launch/commands/ckpt_parts.h"

namespace weft {
namespace {

struct Arguments {
  std::string directory;
  Retention retention;
  bool dry_run = false;
};

void run(const Arguments& args) {
  const auto [removed, notices] = prune_checkpoints(args.directory, args.retention, args.dry_run);
  for (const std::string& notice : notices) fmt::print(stderr, "weft: WARNING: {}\n", notice);
  for (const FoundCheckpoint& old : removed) {
    fmt::print("{} {}\n", args.dry_run ? "would remove" : "removed", old.path);
  }
  fmt::print("{} removed, {} left{}\n", removed.size(),
             list_checkpoints(args.directory).size() - (args.dry_run ? removed.size() : 0),
             args.dry_run ? " (dry run: nothing was changed)" : "");
}

}  // namespace

void add_ckpt_prune(Command ckpt, int&) {
  const Command app = ckpt.subcommand("prune", "Delete old checkpoints of a directory");
  auto args = std::make_shared<Arguments>();
  app.option("DIR", args->directory, "The directory that holds the step_N directories")
      .path()
      .required();
  app.option("--keep-last", args->retention.keep_last, "Newest intact checkpoints to keep")
      .required()
      .between(1, 1'000'000)
      .type_name("N");
  app.option("--keep-every", args->retention.keep_every,
             "Also keep those whose step is a multiple of this")
      .between(int64_t{1}, int64_t{1'000'000'000})
      .type_name("STEPS");
  app.flag("--dry-run", args->dry_run, "Say what would be deleted, delete nothing");
  app.run([args] { run(*args); });
}

}  // namespace weft
