// weft bench: speed of training steps on this machine.
#include <cstdio>
#include <memory>

#include "launch/bench/step_bench.h"
#include "launch/commands/commands.h"
#include "launch/commands/in_job.h"
#include "launch/config/load.h"
#include "parallel/comm/bootstrap.h"

namespace weft {
namespace {

struct Arguments {
  std::string config;
  std::vector<std::string> sets;
  int64_t steps = 10;
  bool json = false;
  bool operations = false;
};

// Checked for as many ranks; data need not be named.
RunConfig load_for(const Arguments& args, int ranks) {
  const MeshConfig mesh = load_config(args.config, args.sets).mesh;
  const int64_t model_ranks = mesh.model_ranks();
  if (ranks % model_ranks != 0) {
    fail(ErrorKind::config,
         "the job's {} ranks are not a multiple of mesh tp {} * cp {} * pp {} = {}; start {}",
         ranks, mesh.tp, mesh.cp, mesh.pp, model_ranks, (ranks / model_ranks + 1) * model_ranks);
  }
  std::vector<std::string> sets = args.sets;
  sets.push_back(fmt::format("mesh.dp={}", mesh.data_ranks(ranks)));
  return load_config(args.config, sets);
}

int run(const Arguments& args, Bootstrap& bootstrap) {
  RunConfig config = load_for(args, bootstrap.size());
  config.checkpoint.async = false;  // none is written
  if (!config.model.vocab_size) {
    fail(ErrorKind::config,
         "weft bench makes its own tokens and needs a vocabulary size; add --set "
         "model.vocab_size=50257, say");
  }
  const StepBenchResult result = bench_steps(config, args.steps, bootstrap);
  if (bootstrap.rank() == 0) {
    std::fputs((args.json ? to_json(result) : to_text(result, args.operations)).c_str(), stdout);
  }
  return 0;
}

}  // namespace

void add_bench_command(Command root, int& exit_code) {
  const Command app =
      root.subcommand("bench", "Measure training steps on random tokens, by op family");
  auto args = std::make_shared<Arguments>();
  app.option("CONFIG", args->config, "A run's or a model's YAML file").path().required();
  app.option("--set", args->sets, "Override a key (repeatable)").type_name("KEY=VALUE").single();
  app.option("--steps", args->steps, "Steps to time, after two of warm-up")
      .positive()
      .show_default();
  app.flag("--operations", args->operations,
           "Also the time and rate of every operation, by the shapes it is called with");
  app.flag("--json", args->json, "One JSON object");
  app.run([args, &exit_code] {
    exit_code = in_job([&](Bootstrap& bootstrap) { return run(*args, bootstrap); });
  });
}

}  // namespace weft
