// weft verify: every layout of a model against one rank.
#include "launch/verify/verify.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <charconv>
#include <cstdio>
#include <memory>

#include "launch/commands/commands.h"
#include "launch/config/load.h"

namespace weft {
namespace {

struct Arguments {
  std::string config;
  std::vector<std::string> sets;
  std::string inject;
  int ranks = 4;
  int64_t steps = 3;
};

Fault parse_fault(const std::string& text) {
  Fault fault;
  if (text.empty()) return fault;
  constexpr std::string_view kDrop = "drop-collective:";
  const char* end = text.data() + text.size();
  if (text.starts_with(kDrop) &&
      std::from_chars(text.data() + kDrop.size(), end, fault.drop).ptr == end && fault.drop >= 0) {
    return fault;
  }
  fail(ErrorKind::usage, "--inject '{}' is not drop-collective:K with K >= 0", text);
}

bool run(const Arguments& args) {
  const RunConfig config = shrink(load_config(args.config, args.sets));
  const std::vector<Layout> layouts = legal_layouts(config, args.ranks);
  fmt::print("{} layouts of up to {} ranks, {} steps each, against one rank\n", layouts.size(),
             args.ranks, args.steps);
  fmt::print("{:<28} {:>4}  {:<36} {:>9} {:>9}\n", "layout", "", "closest to its bound", "error",
             "bound");
  int failed = 0;
  verify_layouts(config, layouts, args.steps, parse_fault(args.inject), [&](const Comparison& c) {
    failed += !c.ok;
    fmt::print("{:<28} {:>4}  {:<36} {:>9.2e} {:>9.2e}\n", to_string(c.layout),
               c.ok ? "ok" : "FAIL", c.worst, c.error, c.bound);
    std::fflush(stdout);
  });
  fmt::print("{} layouts ok, {} failed\n", layouts.size() - static_cast<size_t>(failed), failed);
  return failed == 0;
}

}  // namespace

void add_verify_command(CLI::App& root, int& exit_code) {
  CLI::App* app = root.add_subcommand(
      "verify", "Train a shrunken model on every layout and compare it with one rank");
  auto args = std::make_shared<Arguments>();
  app->add_option("config", args->config, "A run's or a model's YAML file")->required();
  app->add_option("--set", args->sets, "Override a key (repeatable)")->type_name("KEY=VALUE");
  app->add_option("--ranks", args->ranks, "Layouts of up to this many ranks")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app->add_option("--steps", args->steps, "Training steps of each layout")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app->add_option("--inject", args->inject,
                  "Break one collective on purpose, to see the check fail: drop-collective:K");
  app->callback([args, &exit_code] { exit_code = run(*args) ? 0 : 1; });
}

}  // namespace weft
