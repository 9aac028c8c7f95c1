// weft config: show, explain and document configurations.
#include <fmt/core.h>

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

void add_show(Command config) {
  struct Options {
    std::string file;
    std::vector<std::string> sets;
    int64_t ranks = 0;
  };
  const auto options = std::make_shared<Options>();
  const Command show =
      config.subcommand("show", "Check a configuration and print every key with its value");
  show.option("CONFIG", options->file, "A YAML file").path().required();
  show.option("--set", options->sets, "Override a key: --set train.steps=100 (repeatable)")
      .type_name("KEY=VALUE")
      .single();
  const Option ranks =
      show.option("--ranks", options->ranks, "Also check that this many ranks can train it")
          .positive();
  show.run([options, ranks] {
    const auto world_size = ranks.given() ? std::optional(options->ranks) : std::nullopt;
    fmt::print("{}", to_yaml(load_config(options->file, options->sets, world_size)));
  });
}

void add_help(Command config) {
  const auto key = std::make_shared<std::string>();
  const Command help = config.subcommand("help", "Explain all keys, one group or one key");
  const Option option = help.option("KEY", *key, "train, train.steps, ...");
  help.run([key, option] {
    const bool all = !option.given();
    fmt::print("{}", config_help(all ? std::nullopt : std::optional<std::string>(*key)));
  });
}

}  // namespace

void add_config_command(Command root, int&) {
  const Command config = root.subcommand("config", "Show, explain and check configurations");
  config.require_subcommand();
  add_show(config);
  add_help(config);
  config.subcommand("docs", "Print docs/config.md").run([] { fmt::print("{}", config_docs()); });
}

}  // namespace weft
