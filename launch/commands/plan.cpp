// weft plan: what a layout would do, without ranks.
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <charconv>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "launch/commands/commands.h"
#include "launch/plan/timed_schedule.h"
#include "launch/terminal.h"
#include "parallel/pipeline/generators.h"

namespace weft {
namespace {

struct ScheduleArguments {
  std::string schedule = "1f1b";
  PipelineShape shape;
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
  const Schedule schedule = make_schedule(schedule_kind(args.schedule), args.shape);
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

void add_schedule(CLI::App& plan) {
  const auto args = std::make_shared<ScheduleArguments>();
  CLI::App* app = plan.add_subcommand(
      "schedule", "Draw a pipeline schedule over time, with its idle share and peak in flight");
  app->add_option("--schedule", args->schedule, "gpipe, 1f1b, interleaved or zb-h1")
      ->capture_default_str();
  app->add_option("--stages", args->shape.stages, "Stages of the pipeline")->required();
  app->add_option("--microbatches", args->shape.microbatches, "Micro-batches of a step")
      ->required();
  app->add_option("--chunks", args->shape.chunks, "Parts of the model on each stage")
      ->capture_default_str();
  app->add_option("--costs", args->costs,
                  "Times of forward, input gradient, weight gradient, transfer")
      ->type_name("F,B,W,T")
      ->capture_default_str();
  app->add_option("--svg", args->svg, "Also write the picture to this file");
  app->add_option("--width", args->width, "Columns of the text picture (default: the terminal's)")
      ->check(CLI::Range(20, 10000));
  app->add_flag("--steps", args->steps, "List every stage's steps, transfers included, instead");
  app->callback([args] { plan_schedule(*args); });
}

}  // namespace

void add_plan_command(CLI::App& root, int&) {
  CLI::App* plan = root.add_subcommand("plan", "Show what a layout would do, without ranks");
  plan->require_subcommand(1);
  add_schedule(*plan);
}

}  // namespace weft
