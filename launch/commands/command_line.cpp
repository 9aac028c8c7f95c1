#include "launch/commands/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <optional>

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "launch/config/path_text.h"

namespace weft {

Option Option::required() const {
  option_->required();
  return *this;
}

Option Option::between(int64_t min, int64_t max) const {
  option_->check(CLI::Range(min, max));
  return *this;
}

Option Option::positive() const {
  option_->check(CLI::PositiveNumber);
  return *this;
}

Option Option::not_empty() const {
  option_->check(CLI::Validator(
      [](const std::string& text) { return text.empty() ? "the value is empty" : std::string(); },
      ""));
  return *this;
}

Option Option::one_of(std::vector<std::string> values) const {
  option_->check(CLI::IsMember(std::move(values)));
  return *this;
}

Option Option::bytes(const std::string& default_text) const {
  option_->transform(CLI::AsSizeValue(true))
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 62))
      ->default_str(default_text);
  return *this;
}

Option Option::type_name(const std::string& name) const {
  option_->type_name(name);
  return *this;
}

Option Option::show_default() const {
  option_->capture_default_str();
  return *this;
}

Option Option::single() const {
  option_->allow_extra_args(false);
  return *this;
}

Option Option::excludes(Option other) const {
  option_->excludes(other.option_);
  return *this;
}

Option Option::needs(Option other) const {
  option_->needs(other.option_);
  return *this;
}

Option Option::hidden() const {
  option_->group("");
  return *this;
}

Option Option::path() const {
  option_->transform(CLI::Validator(
      [](std::string& value) {
        PathText text = expand_home(value);
        if (!text.problem.empty()) return value + " " + text.problem;
        value = std::move(text.path);
        return std::string();
      },
      ""));
  return *this;
}

bool Option::given() const { return option_->count() > 0; }

Command Command::subcommand(const std::string& name, const std::string& help) const {
  return Command(app_->add_subcommand(name, help));
}

void Command::require_subcommand() const { app_->require_subcommand(1); }

template <typename T>
Option Command::option(const std::string& name, T& value, const std::string& help) const {
  return Option(app_->add_option(name, value, help));
}

template Option Command::option(const std::string&, std::string&, const std::string&) const;
template Option Command::option(const std::string&, int&, const std::string&) const;
template Option Command::option(const std::string&, int64_t&, const std::string&) const;
template Option Command::option(const std::string&, uint64_t&, const std::string&) const;
template Option Command::option(const std::string&, std::optional<int64_t>&,
                                const std::string&) const;
template Option Command::option(const std::string&, double&, const std::string&) const;
template Option Command::option(const std::string&, std::vector<std::string>&,
                                const std::string&) const;

Option Command::flag(const std::string& name, bool& value, const std::string& help) const {
  return Option(app_->add_flag(name, value, help));
}

void Command::run(std::function<void()> action) const { app_->callback(std::move(action)); }

CommandLine::CommandLine(const std::string& name, const std::string& description,
                         const std::string& version)
    : app_(std::make_unique<CLI::App>(description, name)) {
  app_->require_subcommand(0, 1);
  app_->set_version_flag("--version", version);
}

CommandLine::~CommandLine() = default;

Command CommandLine::root() const { return Command(app_.get()); }

// CLI11 says of a mistyped command only that one is required.
void CommandLine::refuse_unknown_command(std::string_view command) const {
  std::vector<std::string> known;
  for (const CLI::App* app : app_->get_subcommands([](const CLI::App*) { return true; })) {
    known.push_back(app->get_name());
  }
  if (std::find(known.begin(), known.end(), command) != known.end()) return;
  const std::optional<std::string> meant = nearest(command, known);
  fail(ErrorKind::usage, "there is no command '{}'{}; the commands are: {}", command,
       meant ? fmt::format(", did you mean '{}'?", *meant) : "", fmt::join(known, ", "));
}

void CommandLine::parse(std::vector<std::string> arguments) {
  if (!arguments.empty() && !arguments.front().starts_with('-')) {
    refuse_unknown_command(arguments.front());
  }
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the end
  try {
    app_->parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    // CLI11 speaks of a request for help as an error too: those it answers itself.
    if (error.get_exit_code() == 0) {
      app_->exit(error);
      return;
    }
    fail(ErrorKind::usage, "{}; `weft --help` and `weft COMMAND --help` list what there is",
         error.what());
  }
  if (app_->get_subcommands().empty()) {
    fail(ErrorKind::usage, "which command? `weft --help` lists them");
  }
}

}  // namespace weft
