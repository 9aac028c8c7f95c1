// weft verify: every layout of a model against one rank.
#include "launch/verify/verify.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>

#include "launch/commands/commands.h"
#include "launch/commands/in_job.h"
#include "launch/config/load.h"

namespace weft {
namespace {

struct Arguments {
  std::string config;
  std::vector<std::string> sets;
  std::string inject;
  std::string transport;
  std::string device;
  int ranks = 0;
  int sample = 0;
  int64_t steps = 3;
};

Injection parse_injection(const std::string& text) {
  const size_t colon = text.find(':');
  const auto kinds = enum_names(FaultKind{});
  const auto kind = std::ranges::find(kinds, std::string_view(text).substr(0, colon));
  Injection injection{};
  const char* end = text.data() + text.size();
  if (kind == kinds.end() || colon == std::string::npos ||
      std::from_chars(text.data() + colon + 1, end, injection.number).ptr != end ||
      injection.number < 0 || text.back() == ':') {
    fail(ErrorKind::usage, "--inject '{}' is none of {}:K with K >= 0", text,
         fmt::join(kinds, ":K, "));
  }
  injection.kind = static_cast<FaultKind>(kind - kinds.begin());
  return injection;
}

// What only ranks on CPUs can be asked.
void check_device(const Arguments& args, const RunConfig& config, bool job) {
  if (config.device == DeviceKind::cpu) return;
  if (!args.inject.empty()) {
    fail(ErrorKind::usage, "--inject breaks collectives in host memory; leave --device cuda away");
  }
  if (!job && args.ranks != 1) {
    fail(ErrorKind::usage,
         "ranks on GPUs are processes: weft launch -n N -- verify ... --device cuda, or --ranks 1 "
         "for one alone");
  }
}

// Whether the ranks are the job's processes.
bool on_processes(const Arguments& args, int world) {
  if (args.transport == "local" && world > 1) {
    fail(ErrorKind::usage,
         "--transport local runs its ranks in one process, but {} were started; leave mpirun away",
         world);
  }
  if (args.transport == "mpi" && world == 1) {
    fail(ErrorKind::usage,
         "--transport mpi needs the ranks of a job; start it with mpirun -np N weft verify ..., or "
         "weft launch -n N -- verify ...");
  }
  if (world > 1 && args.ranks != 0 && args.ranks != world) {
    fail(
        ErrorKind::usage,
        "--ranks {} in a job of {}: over MPI, layouts have as many ranks as the job; leave it away",
        args.ranks, world);
  }
  return world > 1;
}

// `count` of them, evenly spread; all if there are no more.
std::vector<Layout> sample(const std::vector<Layout>& layouts, size_t count) {
  if (count == 0 || count >= layouts.size()) return layouts;
  std::vector<Layout> some;
  for (size_t i = 0; i < count; ++i) some.push_back(layouts[i * layouts.size() / count]);
  return some;
}

void print(const Comparison& c) {
  fmt::print("{:<28} {:>4}  {:<36} {:>9.2e} {:>9.2e}", to_string(c.layout), c.ok ? "ok" : "FAIL",
             c.worst, c.error, c.bound);
  if (c.fault) fmt::print("  {}", to_string(*c.fault));
  fmt::print("\n");
  std::fflush(stdout);
}

int run(const Arguments& args, Bootstrap& bootstrap) {
  constexpr int kRanks = 4;
  const bool job = on_processes(args, bootstrap.size());
  const bool root = bootstrap.rank() == 0;
  const int ranks = job ? bootstrap.size() : args.ranks > 0 ? args.ranks : kRanks;
  std::vector<std::string> sets = args.sets;
  if (!args.device.empty()) sets.push_back("device=" + args.device);
  const RunConfig config = shrink(load_config(args.config, sets));
  check_device(args, config, job);
  std::vector<Layout> layouts = legal_layouts(config, ranks);
  if (job) std::erase_if(layouts, [&](const Layout& l) { return l.ranks() != ranks; });
  if (layouts.empty()) {
    fail(ErrorKind::config,
         "no layout of {}{} ranks is legal for this configuration, so nothing would be compared; "
         "drop what only some layouts allow, such as pipeline.schedule or determinism, or {}",
         job ? "" : "up to ", ranks, job ? "start another number of ranks" : "give more --ranks");
  }
  layouts = sample(layouts, static_cast<size_t>(args.sample));
  VerifyOptions options{.steps = args.steps, .inject = {}, .job = job ? &bootstrap : nullptr};
  if (!args.inject.empty()) options.inject = parse_injection(args.inject);
  if (root) {
    fmt::print("{} layouts of {}{} ranks, {} steps each, against one rank\n", layouts.size(),
               job ? "" : "up to ", ranks, args.steps);
    fmt::print("{:<28} {:>4}  {:<36} {:>9} {:>9}\n", "layout", "", "closest to its bound", "error",
               "bound");
  }
  size_t ok = 0;
  size_t failed = 0;
  verify_layouts(config, layouts, options, [&](const Comparison& c) {
    ++(c.ok ? ok : failed);
    if (root) print(c);
  });
  if (root) {
    fmt::print("{} layouts ok, {} failed", ok, failed);
    const size_t left_out = layouts.size() - ok - failed;
    if (options.inject) fmt::print(", {} have no such collective", left_out);
    fmt::print("\n");
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace

void add_verify_command(Command root, int& exit_code) {
  const Command app = root.subcommand(
      "verify", "Train a shrunken model on every layout and compare it with one rank");
  auto args = std::make_shared<Arguments>();
  app.option("config", args->config, "A run's or a model's YAML file").path().required();
  app.option("--set", args->sets, "Override a key (repeatable)").type_name("KEY=VALUE");
  app.option("--ranks", args->ranks, "Layouts of up to this many ranks (4)").between(1, 64);
  app.option("--transport", args->transport,
             "local: ranks are threads of this process; mpi: those of the job (default when "
             "there is one), for layouts of exactly as many ranks")
      .one_of({"local", "mpi"});
  app.option("--device", args->device, "cpu or cuda; sets the key device").one_of({"cpu", "cuda"});
  app.option("--sample", args->sample, "Only this many of the layouts, evenly spread")
      .between(1, 1000000);
  app.option("--steps", args->steps, "Training steps of each layout")
      .between(1, 100)
      .show_default();
  app.option("--inject", args->inject,
             "Break collective K on purpose, to see the check fail: drop-collective:K, "
             "skip-scale:K or wrong-shard:K");
  app.run([args, &exit_code] {
    exit_code = in_job([&](Bootstrap& bootstrap) { return run(*args, bootstrap); });
  });
}

}  // namespace weft
