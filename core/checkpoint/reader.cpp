#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "core/base/error.h"
#include "core/checkpoint/blocks.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/directory.h"
#include "core/checkpoint/files.h"
#include "core/checkpoint/manifest.h"
#include "core/checkpoint/shard_file.h"

namespace weft {

struct CheckpointReader::State : OpenedCheckpoint {
  explicit State(OpenedCheckpoint opened)
      : OpenedCheckpoint(std::move(opened)), checked(manifest.files.size()) {
    for (const StoredTensor& tensor : manifest.tensors) index[{tensor.name, tensor.kind}] = &tensor;
  }

  std::map<std::pair<std::string_view, std::string_view>, const StoredTensor*> index;
  std::mutex mutex;
  std::vector<bool> checked;  // files whose size and metadata hold; guarded by mutex

  const StoredTensor* find(std::string_view name, std::string_view kind) const {
    const auto found = index.find({name, kind});
    return found == index.end() ? nullptr : found->second;
  }

  // Shard file `i`, checked once per reader.
  FileDescriptor open_file(int i) {
    const std::string& name = manifest.files[static_cast<size_t>(i)].name;
    FileDescriptor file = open_regular(directory, name, path + "/" + name);
    const std::lock_guard<std::mutex> lock(mutex);
    if (!checked[static_cast<size_t>(i)]) {
      check_shard_file(manifest, i, file, path + "/" + name);
      checked[static_cast<size_t>(i)] = true;
    }
    return file;
  }
};

namespace {

TensorInfo describe(const StoredTensor& tensor) {
  return {tensor.name, tensor.kind, tensor.shape, tensor.dtype};
}

// Copies the part of `window` that this stored box has into the array `out` of the box `target`.
void copy_window(BlockReader& blocks, const StoredTensor& tensor, const StoredBox& stored,
                 const Box& target, const Box& window, std::byte* out) {
  const auto size = static_cast<int64_t>(size_of(tensor.dtype));
  for_each_run(stored.box, target, window, [&](const CopyRun& run) {
    blocks.read(run.source * size,
                {out + run.target * size, static_cast<size_t>(run.count * size)});
  });
}

}  // namespace

CheckpointReader::CheckpointReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
CheckpointReader::CheckpointReader(CheckpointReader&&) noexcept = default;
CheckpointReader& CheckpointReader::operator=(CheckpointReader&&) noexcept = default;
CheckpointReader::~CheckpointReader() = default;

CheckpointReader CheckpointReader::open(const std::string& path) {
  return CheckpointReader(std::make_unique<State>(open_checkpoint(path)));
}

const std::string& CheckpointReader::path() const { return state_->path; }
const Manifest& CheckpointReader::manifest() const { return state_->manifest; }
int64_t CheckpointReader::step() const { return state_->manifest.step; }
const std::string& CheckpointReader::run_state_json() const { return state_->manifest.run_state; }

std::string CheckpointReader::manifest_digest() const { return to_string(state_->manifest_digest); }

std::vector<TensorInfo> CheckpointReader::tensors() const {
  std::vector<TensorInfo> result;
  for (const StoredTensor& tensor : state_->manifest.tensors) result.push_back(describe(tensor));
  return result;
}

std::optional<TensorInfo> CheckpointReader::find(std::string_view name,
                                                 std::string_view kind) const {
  const StoredTensor* tensor = state_->find(name, kind);
  return tensor == nullptr ? std::nullopt : std::optional(describe(*tensor));
}

void CheckpointReader::read(std::string_view name, std::string_view kind, const Box& box,
                            void* out) const {
  const StoredTensor* tensor = state_->find(name, kind);
  if (tensor == nullptr) fail(ErrorKind::input, "{} has no {} ({})", path(), name, kind);
  if (!lies_within(box, tensor->shape)) {
    fail(ErrorKind::input, "{}: box {} does not lie within {} with its shape {}", path(),
         to_string(box), name, to_string(tensor->shape));
  }
  if (box.elements() == 0) return;
  for (const StoredBox& stored : tensor->boxes) {
    const std::optional<Box> window = intersection(stored.box, box);
    if (!window) continue;
    const FileDescriptor file = state_->open_file(stored.file);
    const std::string& file_name = state_->manifest.files[static_cast<size_t>(stored.file)].name;
    BlockReader blocks(file, *tensor, stored, path() + "/" + file_name);
    copy_window(blocks, *tensor, stored, box, *window, static_cast<std::byte*>(out));
  }
}

std::string CheckpointReader::attachment(std::string_view name) const {
  for (const StoredFile& stored : state_->manifest.attached) {
    if (stored.name != name) continue;
    const std::string directory = path() + "/" + kAttachedDirectory;
    const std::string file = directory + "/" + stored.name;
    std::string text =
        read_text(open_regular(open_directory(directory), stored.name, file), stored.bytes, file);
    if (static_cast<int64_t>(text.size()) != stored.bytes || digest_of(text) != stored.digest) {
      fail(ErrorKind::input, "{} does not match its size or digest in the manifest", file);
    }
    return text;
  }
  fail(ErrorKind::input, "{} has no attached file '{}'", path(), name);
}

}  // namespace weft
