// weft plan: what a layout would do, without ranks.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "launch/commands/commands.h"
#include "launch/config/load.h"
#include "launch/plan/plan_text.h"
#include "launch/plan/timed_schedule.h"
#include "launch/show/terminal.h"
#include "parallel/pipeline/generators.h"

namespace weft {
namespace {

struct ScheduleArguments {
  std::string schedule = "1f1b";
  PipelineShape shape;
  std::optional<int64_t> chunks;
  std::string costs = "1,1,1,0";
  std::string svg;
  int width = 0;
  bool steps = false;
};

StepCosts parse_costs(std::string_view text) {
  std::vector<double> values;
  const char* at = text.data();
  const char* const end = at + text.size();
  bool complete = false;
  for (bool more = true; more;) {
    double value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error == std::errc{}) values.push_back(value);
    complete = error == std::errc{} && next == end;
    more = error == std::errc{} && !complete && *next == ',';
    at = next + more;
  }
  if (!complete || values.size() < 3 || values.size() > 4) {
    fail(ErrorKind::usage,
         "--costs '{}': give 3 or 4 numbers with commas between them, the times of forward, input "
         "gradient, weight gradient and transfer: 1,1,1,0.1",
         text);
  }
  return {values[0], values[1], values[2], values.size() == 4 ? values[3] : 0};
}

void plan_schedule(const ScheduleArguments& args) {
  const ScheduleKind kind = schedule_kind(args.schedule);
  PipelineShape shape = args.shape;
  shape.chunks = static_cast<int>(std::clamp<int64_t>(args.chunks.value_or(traits(kind).min_chunks),
                                                      -1, std::numeric_limits<int>::max()));
  const Schedule schedule = make_schedule(kind, shape);
  if (args.steps) {
    fmt::print("{}", steps_text(schedule));
    return;
  }
  const TimedSchedule timed = time_schedule(schedule, parse_costs(args.costs));
  if (!args.svg.empty()) {
    std::ofstream out(args.svg, std::ios::trunc);
    out << schedule_svg(timed);
    if (!out.flush()) fail(ErrorKind::io, "cannot write {}", args.svg);
  }
  fmt::print("{}", schedule_text(
                       timed, args.width > 0 ? args.width : find_terminal(STDOUT_FILENO).columns));
}

void add_schedule(Command plan) {
  const auto args = std::make_shared<ScheduleArguments>();
  const Command app = plan.subcommand(
      "schedule", "Draw a pipeline schedule over time, with its idle share and peak in flight");
  app.option("--schedule", args->schedule,
             fmt::format("{}", fmt::join(enum_names(ScheduleKind{}), ", ")))
      .show_default();
  app.option("--stages", args->shape.stages, "Stages of the pipeline").required();
  app.option("--microbatches", args->shape.microbatches, "Micro-batches of a step").required();
  app.option("--chunks", args->chunks,
             "Parts of the model on each stage (default: the fewest that the schedule has)");
  app.option("--costs", args->costs, "Times of forward, input gradient, weight gradient, transfer")
      .type_name("F,B,W,T")
      .show_default();
  app.option("--svg", args->svg, "Also write the picture to this file").path();
  app.option("--width", args->width, "Columns of the text picture (default: the terminal's)")
      .between(20, 10000);
  app.flag("--steps", args->steps, "List every stage's steps, transfers included, instead");
  app.run([args] { plan_schedule(*args); });
}

struct LayoutArguments {
  std::string config;
  std::vector<std::string> sets;
  std::optional<int64_t> world;
};

// The configuration with a mesh of exactly the ranks it is planned for.
RunConfig planned_config(const LayoutArguments& args) {
  RunConfig config = load_config(args.config, args.sets);
  const int64_t model_ranks = config.mesh.model_ranks();
  const int64_t world = args.world.value_or(config.mesh.dp.value_or(1) * model_ranks);
  if (world % model_ranks != 0) {
    fail(ErrorKind::config, "--world {} is not a multiple of tp {} * pp {} * cp {} = {}; try {}",
         world, config.mesh.tp, config.mesh.pp, config.mesh.cp, model_ranks,
         (world / model_ranks + 1) * model_ranks);
  }
  std::vector<std::string> sets = args.sets;
  sets.push_back(fmt::format("mesh.dp={}", world / model_ranks));
  config = load_config(args.config, sets);  // checked with every axis known
  if (!config.model.vocab_size) {
    fail(
        ErrorKind::config,
        "model.vocab_size: auto is decided by the data, which a plan does not open; give it: --set "
        "model.vocab_size=50257");
  }
  return config;
}

using LayoutText = std::string (*)(const RunConfig&, const MeshShape&,
                                   const std::vector<Rehearsal>&);

void add_layout_plan(Command plan, const char* name, const char* help, LayoutText text) {
  const auto args = std::make_shared<LayoutArguments>();
  const Command app = plan.subcommand(name, help);
  app.option("config", args->config, "A run's or a model's YAML file").path().required();
  app.option("--set", args->sets, "Override a key (repeatable)").type_name("KEY=VALUE");
  app.option("--world", args->world, "Ranks of the job (default: those of mesh, dp 1 if auto)")
      .between(int64_t{1}, int64_t{1} << 20);
  app.run([args, text] {
    const RunConfig config = planned_config(*args);
    const MeshShape mesh = config.mesh.shape(0);  // dp is set
    fmt::print("{}", text(config, mesh, rehearse_stages(config, mesh)));
  });
}

}  // namespace

void add_plan_command(Command root, int&) {
  const Command plan = root.subcommand("plan", "Show what a layout would do, without ranks");
  plan.require_subcommand();
  add_schedule(plan);
  add_layout_plan(plan, "memory", "Bytes that a rank of each stage needs, by segment", memory_text);
  add_layout_plan(plan, "comm", "What a rank of each stage sends in a step, by axis and operation",
                  communication_text);
}

}  // namespace weft
