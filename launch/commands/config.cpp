// weft config: show, explain and document configurations.
#include <fmt/core.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launch/commands/commands.h"
#include "launch/config/help.h"
#include "launch/config/load.h"

namespace weft {

namespace {

void add_show(CLI::App& config) {
  struct Options {
    std::string file;
    std::vector<std::string> sets;
    int64_t ranks = 0;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* show =
      config.add_subcommand("show", "Check a configuration and print every key with its value");
  show->add_option("CONFIG", options->file, "A YAML file")->required();
  show->add_option("--set", options->sets, "Override a key: --set train.steps=100 (repeatable)")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  const CLI::Option* ranks =
      show->add_option("--ranks", options->ranks, "Also check that this many ranks can train it")
          ->check(CLI::PositiveNumber);
  show->callback([options, ranks] {
    const auto world_size = ranks->count() > 0 ? std::optional(options->ranks) : std::nullopt;
    fmt::print("{}", to_yaml(load_config(options->file, options->sets, world_size)));
  });
}

void add_help(CLI::App& config) {
  const auto key = std::make_shared<std::string>();
  CLI::App* help = config.add_subcommand("help", "Explain all keys, one group or one key");
  const CLI::Option* option = help->add_option("KEY", *key, "train, train.steps, ...");
  help->callback([key, option] {
    const bool all = option->count() == 0;
    fmt::print("{}", config_help(all ? std::nullopt : std::optional<std::string>(*key)));
  });
}

}  // namespace

void add_config_command(CLI::App& root, int&) {
  CLI::App* config = root.add_subcommand("config", "Show, explain and check configurations");
  config->require_subcommand(1);
  add_show(*config);
  add_help(*config);
  config->add_subcommand("docs", "Print docs/config.md")->callback([] {
    fmt::print("{}", config_docs());
  });
}

}  // namespace weft
