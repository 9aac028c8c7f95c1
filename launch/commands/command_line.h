// Commands, options and flags as the files of launch/commands declare them.
//
// A thin face of CLI11: a file that includes CLI11 takes ten times as long to compile as a command,
// so command_line.cpp alone does. Handles are small values that belong to their CommandLine.
//
//   auto args = std::make_shared<Arguments>();
//   const Command command = root.subcommand("launch", "Run another command as several processes");
//   command.option("-n,--ranks", args->ranks, "Processes on this host").required().between(1,
//   1024); command.flag("--dry-run", args->dry_run, "Say what would be done, do nothing");
//   command.run([args] { launch(*args); });
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace weft {

// What a command line may still say of an option; each returns the option itself. What the user
// gives against it is an error of usage, reported by CommandLine::parse.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option required() const;
  Option between(int64_t min, int64_t max) const;  // both are legal
  Option positive() const;
  Option not_empty() const;  // of a text
  Option one_of(std::vector<std::string> values) const;
  Option bytes(
      const std::string& default_text) const;       // of uint64_t: 1 or more, "500MB" is a value
  Option type_name(const std::string& name) const;  // what help calls the value
  Option show_default() const;
  Option single() const;  // of a list: each occurrence brings one value
  Option excludes(Option other) const;
  Option needs(Option other) const;
  Option hidden() const;  // not in help
  Option path() const;    // a leading `~` is the home directory (launch/config/path_text.h)
  bool given() const;     // once the command line has been parsed

 private:
  CLI::Option* option_;
};

class Command {
 public:
  explicit Command(CLI::App* app) : app_(app) {}

  Command subcommand(const std::string& name, const std::string& help) const;
  void require_subcommand() const;
  // `value` is std::string, int, int64_t, uint64_t, double, std::optional<int64_t> or a std::vector
  // of strings. It outlives the parse, and keeps what it holds where the option is not given. A
  // name without dashes is a positional argument.
  template <typename T>
  Option option(const std::string& name, T& value, const std::string& help) const;
  Option flag(const std::string& name, bool& value, const std::string& help) const;
  // Calls `action` once the whole command line has been parsed and holds.
  void run(std::function<void()> action) const;

 private:
  CLI::App* app_;
};

extern template Option Command::option(const std::string&, std::string&, const std::string&) const;
extern template Option Command::option(const std::string&, int&, const std::string&) const;
extern template Option Command::option(const std::string&, int64_t&, const std::string&) const;
extern template Option Command::option(const std::string&, uint64_t&, const std::string&) const;
extern template Option Command::option(const std::string&, std::optional<int64_t>&,
                                       const std::string&) const;
extern template Option Command::option(const std::string&, double&, const std::string&) const;
extern template Option Command::option(const std::string&, std::vector<std::string>&,
                                       const std::string&) const;

class CommandLine {
 public:
  CommandLine(const std::string& name, const std::string& description, const std::string& version);
  ~CommandLine();

  Command root() const;
  // Parses the arguments after the program's name and runs the command they name. Requests for help
  // and the version are answered on standard output. Throws Error{usage} with the way out, and what
  // the command throws.
  void parse(std::vector<std::string> arguments);

 private:
  void refuse_unknown_command(std::string_view command) const;

  std::unique_ptr<CLI::App> app_;
};

}  // namespace weft
