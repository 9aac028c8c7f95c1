// weft ckpt: list, show and verify checkpoints; further subcommands in files of their own.
#include <fmt/core.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/base/directories.h"
#include "core/base/error.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/directory.h"
#include "core/checkpoint/manifest.h"
#include "launch/commands/ckpt_parts.h"
#include "launch/commands/commands.h"

namespace weft {
namespace {

double megabytes(int64_t bytes) { return static_cast<double>(bytes) / 1e6; }

int64_t bytes_of(const Manifest& manifest) {
  int64_t bytes = 0;
  for (const StoredFile& file : manifest.files) bytes += file.bytes;
  for (const StoredFile& file : manifest.attached) bytes += file.bytes;
  return bytes;
}

// One line about a checkpoint; false when it is damaged.
bool list_one(const FoundCheckpoint& found) {
  std::vector<std::string> faults;
  try {
    const OpenedCheckpoint checkpoint = open_checkpoint(found.path);
    faults = contents_faults(checkpoint);
    fmt::print("{:>10}  {:>10.1f} MB  {:>5} files  {:>6} tensors  {}\n", found.step,
               megabytes(bytes_of(checkpoint.manifest)), checkpoint.manifest.files.size(),
               checkpoint.manifest.tensors.size(), faults.empty() ? found.path : "DAMAGED");
  } catch (const Error& error) {
    fmt::print("{:>10}  DAMAGED\n", found.step);
    faults.emplace_back(error.what());
  }
  for (const std::string& fault : faults) fmt::print("            {}\n", fault);
  return faults.empty();
}

int list(const std::string& directory) {
  const std::vector<FoundCheckpoint> all = list_checkpoints(directory);
  if (all.empty()) fail(ErrorKind::input, "{} holds no checkpoints", directory);
  bool intact = true;
  for (const FoundCheckpoint& found : all) intact = list_one(found) && intact;
  return intact ? 0 : exit_code(ErrorKind::input);
}

void show(const std::string& path) {
  const CheckpointReader reader = CheckpointReader::open(resolve_checkpoint(path));
  const Manifest& manifest = reader.manifest();
  fmt::print("path          {}\nstep          {}\n", reader.path(), reader.step());
  fmt::print("code version  {}\nsize          {:.1f} MB in {} shard files\n", manifest.code_version,
             megabytes(bytes_of(manifest)), manifest.files.size());
  fmt::print("run state     {}\n", reader.run_state_json());
  for (const StoredFile& file : manifest.attached) {
    fmt::print("attached      {} ({} bytes)\n", file.name, file.bytes);
  }
  for (const StoredTensor& tensor : manifest.tensors) {
    fmt::print("{:<40} {:<12} {:<5} {:<20} {} {}\n", tensor.name, tensor.kind, name(tensor.dtype),
               to_string(tensor.shape), tensor.boxes.size(),
               tensor.boxes.size() == 1 ? "box" : "boxes");
  }
}

int verify(const std::string& path) {
  // Damaged or not: what is asked for is what is verified.
  const bool is_one = std::filesystem::path(path).filename().string().starts_with("step_") ||
                      leads_somewhere(path + "/" + kManifestName);
  const std::string checkpoint = is_one ? path : resolve_checkpoint(path);
  const VerifyReport report = verify_checkpoint(checkpoint);
  for (const std::string& fault : report.faults) fmt::print("{}\n", fault);
  fmt::print("{}: {} files, {} blocks, {:.1f} MB read: {}\n", checkpoint, report.files,
             report.blocks, megabytes(report.bytes),
             report.intact() ? "intact" : fmt::format("{} faults", report.faults.size()));
  return report.intact() ? 0 : exit_code(ErrorKind::input);
}

// Adds a subcommand with one path; `action` gives the exit code.
void add(Command ckpt, const char* name, const char* help, int& exit_code,
         int (*action)(const std::string&)) {
  const auto path = std::make_shared<std::string>();
  const Command command = ckpt.subcommand(name, help);
  command
      .option("PATH", *path,
              "A step_N directory, or the directory that holds them (then the newest intact)")
      .path()
      .required();
  command.run([path, action, &exit_code] { exit_code = action(*path); });
}

}  // namespace

std::string resolve_checkpoint(const std::string& path) {
  if (!is_directory(path)) {
    fail(ErrorKind::input, "{} is no directory; give a step_N directory or the one that holds them",
         path);
  }
  if (leads_somewhere(path + "/" + kManifestName)) return path;
  const std::vector<FoundCheckpoint> all = list_checkpoints(path);
  if (all.empty()) {
    fail(ErrorKind::input, "{} is no checkpoint (it has no {}) and holds none", path,
         kManifestName);
  }
  std::vector<std::string> notices;
  const auto found = find_latest(path, notices);
  for (const std::string& notice : notices) fmt::print(stderr, "weft: {}\n", notice);
  if (!found) fail(ErrorKind::input, "{} holds no intact checkpoint", path);
  return found->path;
}

void add_ckpt_command(Command root, int& exit_code) {
  const Command ckpt =
      root.subcommand("ckpt", "List, show, verify, compare, convert and delete checkpoints");
  ckpt.require_subcommand();
  add(ckpt, "ls", "All checkpoints of a directory, each checked short of its data", exit_code,
      list);
  add(ckpt, "show", "What one checkpoint holds", exit_code, [](const std::string& path) {
    show(path);
    return 0;
  });
  add(ckpt, "verify", "Read all of a checkpoint and compare every digest", exit_code, verify);
  add_ckpt_diff(ckpt, exit_code);
  add_ckpt_export(ckpt, exit_code);
  add_ckpt_import(ckpt, exit_code);
  add_ckpt_prune(ckpt, exit_code);
}

}  // namespace weft
