// weft launch: the ranks of a job as processes of this host, without MPI.
#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <memory>

#include "core/base/error.h"
#include "launch/commands/commands.h"
#include "launch/host/local_job.h"

namespace weft {
namespace {

struct Arguments {
  int ranks = 1;
  int hosts = 1;
  int host = 0;
  std::string master;
  std::vector<std::string> command;
};

// This program by its path, as ps and top shall show the ranks; as the file that runs where the
// path leads to another one by now.
std::string own_program() {
  constexpr const char* kRunning = "/proc/self/exe";
  std::error_code error;
  const std::filesystem::path path = std::filesystem::read_symlink(kRunning, error);
  return !error && std::filesystem::equivalent(path, kRunning, error) ? path.string() : kRunning;
}

// "host:port" of --master.
void set_master(const std::string& text, LocalJob& job) {
  const size_t colon = text.rfind(':');
  const char* end = text.data() + text.size();
  if (colon == std::string::npos || colon == 0 ||
      std::from_chars(text.data() + colon + 1, end, job.master_port).ptr != end ||
      job.master_port == 0) {
    fail(ErrorKind::usage, "--master '{}' is no HOST:PORT, such as node0:29500", text);
  }
  job.master_host = text.substr(0, colon);
}

int launch(const Arguments& args) {
  if (args.host >= args.hosts) {
    fail(ErrorKind::usage, "--host {} is none of the {} of --hosts, which count from 0", args.host,
         args.hosts);
  }
  if (args.hosts > 1 && args.master.empty()) {
    fail(ErrorKind::usage,
         "a job of {} hosts needs --master HOST:PORT, where host 0 can be reached by all",
         args.hosts);
  }
  LocalJob job;
  job.ranks = args.ranks;
  job.first_rank = args.host * args.ranks;
  job.world_size = args.hosts * args.ranks;
  if (!args.master.empty()) set_master(args.master, job);
  job.command = args.command;
  job.command.insert(job.command.begin(), own_program());
  return run_local_job(job);
}

}  // namespace

void add_launch_command(Command root, int& exit_code) {
  const Command app = root.subcommand(
      "launch", "Run another command as several processes of this host, without MPI");
  auto args = std::make_shared<Arguments>();
  app.option("-n,--ranks", args->ranks, "Processes on this host").required().between(1, 1024);
  app.option("--hosts", args->hosts, "Hosts of the job, each with as many processes")
      .between(1, 65536)
      .show_default();
  app.option("--host", args->host, "Number of this host, from 0").between(0, 65535).show_default();
  app.option("--master", args->master, "HOST:PORT where host 0 listens; not needed on one host");
  app.option("COMMAND", args->command, "After --: train, verify, ... with their arguments")
      .required();
  app.run([args, &exit_code] { exit_code = launch(*args); });
}

}  // namespace weft
