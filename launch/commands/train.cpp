// weft train: one training run, alone, under mpirun, or on ranks that are threads.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <memory>

#include "launch/commands/commands.h"
#include "launch/commands/in_job.h"
#include "launch/host/stop_signal.h"
#include "launch/train/trainer.h"

namespace weft {
namespace {

struct Arguments {
  TrainOptions train;
  std::string resume;
  std::string init_from;
  int64_t stop_after = 0;
  int local_ranks = 0;
  std::string trace;
  std::string trace_steps;
};

int on_local_ranks(const Arguments& args) {
  std::atomic<int> code{0};
  run_local_ranks(args.local_ranks, [&](Bootstrap& bootstrap) {
    const int mine = train(args.train, bootstrap);
    if (mine != 0) code = mine;
  });
  return code;
}

int run(Arguments& args) {
  std::signal(SIGPIPE, SIG_IGN);  // who reads what is shown may go away; the run goes on
  StopSignal stop;
  args.train.stop = &stop;
  if (args.local_ranks > 0) return on_local_ranks(args);
  return in_job([&](Bootstrap& bootstrap) { return train(args.train, bootstrap); });
}

void set_init_from(Arguments& args) {
  if (!args.resume.empty() && args.resume != "auto") {
    fail(ErrorKind::usage,
         "--init-from begins a new run, --resume {} continues an old one; give one of them",
         args.resume);
  }
  // A folder of this name is not the key's `auto`.
  const std::string path = args.init_from == "auto" ? "./auto" : args.init_from;
  args.train.sets.push_back(fmt::format("load.weights={}", path));
}

}  // namespace

void add_train_command(Command root, int& exit_code) {
  const Command app = root.subcommand("train", "Train a model as a YAML file describes it");
  auto args = std::make_shared<Arguments>();
  app.option("CONFIG", args->train.config, "The run's YAML file").path().required();
  app.option("--set", args->train.sets, "Override a key: --set train.steps=100 (repeatable)")
      .type_name("KEY=VALUE")
      .single();
  app.option("--steps", args->stop_after, "End after this step, with a checkpoint")
      .between(int64_t{1}, int64_t{1000000000})
      .type_name("STEP");
  // A variable of a script that is not set must not start a run over.
  app.option("--resume", args->resume,
             "auto (newest intact checkpoint of the run, if any) or a checkpoint's path")
      .path()
      .not_empty();
  app.option("--init-from", args->init_from,
             "Begin with the weights of this checkpoint, fresh optimizer, step 0; sets "
             "load.weights")
      .path()
      .not_empty()
      .type_name("PATH");
  app.option("--local-ranks", args->local_ranks, "Run this many ranks as threads of one process")
      .between(1, 1024);
  app.option("--write-fault", args->train.write_fault,
             "RANK:kill|eio|enospc|short|sleep@K: what happens at the K-th call by which that "
             "rank writes checkpoints, for tests")
      .hidden();
  const Option trace =
      app.option("--trace", args->trace,
                 "Write when operations and collectives run on each rank and stream, as JSON "
                 "for ui.perfetto.dev or chrome://tracing")
          .path()
          .not_empty()
          .type_name("FILE");
  app.option("--trace-steps", args->trace_steps,
             "First and last step of the trace; the first three unless given")
      .type_name("FIRST:LAST")
      .needs(trace);
  app.run([args, &exit_code] {
    if (!args->trace.empty()) args->train.trace = {.path = args->trace};
    if (!args->trace_steps.empty()) args->train.trace->steps = parse_trace_steps(args->trace_steps);
    if (!args->resume.empty()) args->train.resume = args->resume;
    if (!args->init_from.empty()) set_init_from(*args);
    if (args->stop_after > 0) args->train.stop_after = args->stop_after;
    exit_code = run(*args);
  });
}

}  // namespace weft
