#include "core/checkpoint/directory.h"

#include <fmt/format.h>

#include <filesystem>
#include <set>
#include <system_error>

#include "core/base/error.h"
#include "core/checkpoint/shard_file.h"

namespace weft {
namespace {

// Runs a check; the damage it finds becomes a line of `faults`.
template <typename Check>
void collect(std::vector<std::string>& faults, Check&& check) {
  try {
    check();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::input) throw;
    faults.emplace_back(error.what());
  }
}

void name_strangers(const std::string& path, const std::set<std::string>& expected,
                    std::vector<std::string>& faults) {
  for (const std::string& name : list_directory(path)) {
    if (!expected.contains(name)) {
      faults.push_back(fmt::format("{}/{} is not in the manifest", path, name));
    }
  }
}

void check_attached(const OpenedCheckpoint& checkpoint, std::vector<std::string>& faults) {
  const std::string path = checkpoint.path + "/" + kAttachedDirectory;
  std::error_code ignored;
  if (std::filesystem::is_symlink(path, ignored))
    fail(ErrorKind::input, "{} is a symbolic link", path);
  const FileDescriptor directory = open_directory(path);
  std::set<std::string> expected;
  for (const StoredFile& stored : checkpoint.manifest.attached) {
    expected.insert(stored.name);
    collect(faults, [&] {
      const std::string file = path + "/" + stored.name;
      const std::string text =
          read_text(open_regular(directory, stored.name, file), stored.bytes, file);
      if (static_cast<int64_t>(text.size()) != stored.bytes || digest_of(text) != stored.digest) {
        fail(ErrorKind::input, "{} does not match its size or digest in the manifest", file);
      }
    });
  }
  name_strangers(path, expected, faults);
}

// A directory that is called step_N holds step N. Under other names a checkpoint may lie anywhere.
void require_own_name(const std::string& path, int64_t step) {
  std::error_code error;
  const auto given = std::filesystem::absolute(path, error).lexically_normal();
  const auto real = std::filesystem::canonical(path, error);
  for (const std::filesystem::path& place : {given, real}) {
    const auto name = place.has_filename() ? place.filename() : place.parent_path().filename();
    int64_t named = 0;
    if (!parse_step_directory_name(name.string(), named) || named == step) continue;
    fail(ErrorKind::input,
         "{} is called step {} and holds step {}: it was renamed, or is a copy; call it {}, or "
         "anything that is no step_N",
         path, named, step, step_directory_name(step));
  }
}

}  // namespace

OpenedCheckpoint open_checkpoint(const std::string& path) {
  OpenedCheckpoint result{path, open_directory(path), {}, {}};
  const std::string file = path + "/" + kManifestName;
  const std::string text =
      read_text(open_regular(result.directory, kManifestName, file), kManifestLimit, file);
  result.manifest = parse_manifest(text, file);
  result.manifest_digest = digest_of(text);
  require_own_name(path, result.manifest.step);
  return result;
}

std::vector<std::string> contents_faults(const OpenedCheckpoint& checkpoint) {
  const Manifest& manifest = checkpoint.manifest;
  std::vector<std::string> faults;
  std::set<std::string> expected{kManifestName};
  for (size_t i = 0; i < manifest.files.size(); ++i) {
    expected.insert(manifest.files[i].name);
    collect(faults, [&] {
      const std::string path = checkpoint.path + "/" + manifest.files[i].name;
      const FileDescriptor file = open_regular(checkpoint.directory, manifest.files[i].name, path);
      check_shard_file(manifest, static_cast<int>(i), file, path);
    });
  }
  if (!manifest.attached.empty()) {
    expected.insert(kAttachedDirectory);
    collect(faults, [&] { check_attached(checkpoint, faults); });
  }
  collect(faults, [&] { name_strangers(checkpoint.path, expected, faults); });
  return faults;
}

}  // namespace weft
