#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/checkpoint/blocks.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/directory.h"
#include "core/checkpoint/shard_file.h"

namespace weft {
namespace {

// Reads a dataset block by block, going on after a damaged one, and compares its own digest too.
void verify_dataset(const StoredTensor& tensor, const StoredBox& stored, const FileDescriptor& file,
                    const std::string& path, VerifyReport& report) {
  BlockReader reader(file, tensor, stored, path);
  const int64_t bytes = bytes_of(tensor, stored);
  std::vector<std::byte> buffer;
  DigestStream all;
  bool whole = true;
  for (int64_t first = 0; first < bytes; first += kBlockBytes) {
    buffer.resize(static_cast<size_t>(std::min(kBlockBytes, bytes - first)));
    try {
      reader.read(first, buffer);
      all.add(buffer);
    } catch (const Error& error) {
      report.faults.emplace_back(error.what());
      whole = false;
    }
    ++report.blocks;
  }
  report.bytes += bytes;
  if (whole && all.finish() != stored.digest) {
    report.faults.push_back(
        fmt::format("{}: dataset {} does not match its digest, though each of its blocks does",
                    path, dataset_path(tensor, stored)));
  }
}

void verify_shard_file(const OpenedCheckpoint& checkpoint, int index, VerifyReport& report) {
  const Manifest& manifest = checkpoint.manifest;
  const std::string& name = manifest.files[static_cast<size_t>(index)].name;
  const std::string path = checkpoint.path + "/" + name;
  const FileDescriptor file = open_regular(checkpoint.directory, name, path);
  ++report.files;
  for (const StoredTensor& tensor : manifest.tensors) {
    for (const StoredBox& stored : tensor.boxes) {
      if (stored.file == index) verify_dataset(tensor, stored, file, path, report);
    }
  }
  // libhdf5 is shown no structure that is not what a writer of ours made.
  check_shard_file(manifest, index, file, path);
  for (std::string& fault : structure_faults(manifest, index, file, path)) {
    report.faults.push_back(std::move(fault));
  }
}

}  // namespace

VerifyReport verify_checkpoint(const std::string& path) {
  VerifyReport report;
  try {
    const OpenedCheckpoint checkpoint = open_checkpoint(path);
    try {
      report.faults = contents_faults(checkpoint);
    } catch (const Error& error) {
      report.faults.emplace_back(error.what());
    }
    for (size_t i = 0; i < checkpoint.manifest.files.size(); ++i) {
      try {
        verify_shard_file(checkpoint, static_cast<int>(i), report);
      } catch (const Error& error) {
        const bool known = std::find(report.faults.begin(), report.faults.end(), error.what()) !=
                           report.faults.end();
        if (!known) report.faults.emplace_back(error.what());
      }
    }
  } catch (const Error& error) {
    report.faults.emplace_back(error.what());
  }
  return report;
}

}  // namespace weft
