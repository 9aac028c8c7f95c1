#include "core/checkpoint/publish.h"

#include <utility>

#include "core/base/error.h"
#include "core/checkpoint/drafts.h"
#include "core/checkpoint/retention.h"

namespace weft {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

void write_attachments(const std::string& staged, Manifest& manifest,
                       std::span<const Attachment> attachments, FileWriter& writer) {
  if (attachments.empty()) return;
  const std::string directory = staged + "/" + kAttachedDirectory;
  writer.make_directory(directory);
  for (const Attachment& attachment : attachments) {
    writer.put_file(directory + "/" + attachment.name, bytes_of(attachment.bytes));
    manifest.attached.push_back({attachment.name, static_cast<int64_t>(attachment.bytes.size()),
                                 digest_of(attachment.bytes)});
  }
  writer.sync_directory(directory);
}

}  // namespace

std::string stage(const std::string& directory, int64_t step, FileWriter& writer) {
  sweep_drafts(directory, writer);  // tidy() says what stays
  std::string staged = draft_path(directory, step);
  writer.make_directory(staged);
  return staged;
}

std::string publish(const std::string& staged, const std::string& directory, Manifest& manifest,
                    std::span<const Attachment> attachments, FileWriter& writer) {
  write_attachments(staged, manifest, attachments, writer);
  check_manifest(manifest, staged + "/" + kManifestName);
  writer.put_file(staged + "/" + kManifestName, bytes_of(write_manifest(manifest)));
  writer.sync_directory(staged);

  const std::string path = directory + "/" + step_directory_name(manifest.step);
  if (is_there(path)) {
    writer.replace(staged, path, replaced_path(directory, manifest.step));
  } else {
    writer.rename(staged, path);
  }
  writer.sync_directory(directory);
  return path;
}

void write_latest(const std::string& directory, int64_t step, FileWriter& writer) {
  const std::string hint = step_directory_name(step) + "\n";
  writer.put_file(directory + "/" + kLatestName, bytes_of(hint));
}

std::vector<std::string> tidy(const std::string& directory, int64_t step,
                              const Retention& retention, FileWriter& writer) {
  std::vector<std::string> notices;
  attempt(notices, [&] { write_latest(directory, step, writer); });
  attempt(notices, [&] {
    for (std::string& line : sweep_drafts(directory, writer)) notices.push_back(std::move(line));
  });
  if (retention.keep_last <= 0) return notices;
  attempt(notices, [&] {
    for (const FoundCheckpoint& old : superseded(directory, retention, step)) {
      attempt(notices, [&] { withdraw(directory, old, writer); });
    }
  });
  return notices;
}

}  // namespace weft
