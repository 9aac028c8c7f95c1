// Checkpoints: named boxes of logical tensors in, any box of them out. Knows neither models nor
// optimizers nor meshes. Format, guarantees and order of a save: docs/checkpoint_format.md.
//
//   DirectoryLock lock(directory);                                 // rank 0, for the whole run
//   save_checkpoint({.directory = directory, .step = 42, .shards = shards}, bootstrap);
//   if (auto found = find_latest(directory, notices)) {
//     const CheckpointReader reader = CheckpointReader::open(found->path);
//     reader.read("h.0.attn.q.weight", "weight", box, data);
//   }
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/dtype.h"
#include "core/base/shape.h"
#include "core/checkpoint/box.h"
#include "core/checkpoint/directory_lock.h"
#include "core/checkpoint/write_hooks.h"

namespace weft {

class Bootstrap;
struct Manifest;

// One box of one state of one logical tensor, in host memory.
struct Shard {
  std::string tensor;  // "h.0.attn.q.weight": letters, digits and ._-
  std::string kind;    // weight, exp_avg, exp_avg_sq, master, ...
  Shape global_shape;  // unpadded
  DType dtype = DType::f32;
  Box box;
  const void* data = nullptr;  // box.extent, row-major, contiguous; borrowed for the call
};

// A small file that travels with the checkpoint, e.g. a tokenizer's; stored as attached/NAME.
struct Attachment {
  std::string name;
  std::string bytes;
};

struct Retention {
  int keep_last = 0;       // newest intact checkpoints to keep; 0 keeps all
  int64_t keep_every = 0;  // multiples of this step are never removed; 0: none
  // The weights of steps up to this one are known to be good. The newest intact checkpoint of them
  // is kept beside those of keep_last. Borrowed, and read when a save removes old ones; null: all
  // are good.
  const std::atomic<int64_t>* proven = nullptr;
};

struct SaveRequest {
  std::string directory;          // holds the step_N directories; the same on all ranks
  int64_t step = 0;               // the same on all ranks
  std::span<const Shard> shards;  // this rank's; over all ranks every element of every tensor once
  // The rest matters on rank 0 only.
  std::string run_state_json = "{}";  // a JSON object
  std::string code_version = {};
  std::span<const Attachment> attachments = {};
  Retention retention = {};
  const DirectoryLock* lock = nullptr;  // the run's; when null, held for the duration of the save
  // Every rank's own.
  WriteHooks* hooks = nullptr;  // for tests
};

struct SaveResult {
  std::string path;                  // of the published checkpoint
  int64_t bytes = 0;                 // of its shard files and attached files
  double seconds = 0;                // wall time of the call
  std::vector<std::string> notices;  // rank 0: what went wrong without keeping it from being saved
};

// Writes and publishes a checkpoint; a box without elements is left out. Collective. On failure
// every rank throws the same Error, {io} for the disk, {environment} for a lock that another run
// holds, {internal} when the shards do not hold every element exactly once, and what was published
// before is untouched. Rank 0's adds what of the draft could not be removed.
SaveResult save_checkpoint(const SaveRequest& request, Bootstrap& bootstrap);

struct TensorInfo {
  std::string name;
  std::string kind;
  Shape global_shape;
  DType dtype = DType::f32;
};

// Reads one checkpoint. Const methods may be called from several threads at once.
class CheckpointReader {
 public:
  // `path` is a step_N directory. Reads and checks the manifest only; files are checked as they are
  // read. Throws Error{input} naming the file and the damage.
  static CheckpointReader open(const std::string& path);
  CheckpointReader(CheckpointReader&&) noexcept;
  CheckpointReader& operator=(CheckpointReader&&) noexcept;
  ~CheckpointReader();

  const std::string& path() const;
  const Manifest& manifest() const;
  int64_t step() const;
  const std::string& run_state_json() const;  // the same JSON value; white space may differ
  std::string manifest_digest() const;        // equal on all ranks that opened the same checkpoint
  std::vector<TensorInfo> tensors() const;
  // Nothing when the checkpoint has no such tensor and kind.
  std::optional<TensorInfo> find(std::string_view name, std::string_view kind) const;

  // Fills `out` with `box` of a tensor, row-major, in the tensor's dtype. Every block of the files
  // that the box touches is compared to its digest before it is used; on Error, `out` is undefined.
  // Throws Error{input} when the tensor is not there, the box does not lie within it, or a file,
  // dataset or block, which the message names, is damaged.
  void read(std::string_view name, std::string_view kind, const Box& box, void* out) const;

  // The attached file, checked. Throws Error{input}.
  std::string attachment(std::string_view name) const;

 private:
  struct State;
  explicit CheckpointReader(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

struct FoundCheckpoint {
  std::string path;
  int64_t step = 0;
};

// The newest intact checkpoint of `directory` below step `below`: its manifest holds, and all its
// files are there, with their sizes and metadata digests, and no others. Data blocks are checked
// when they are read. Damaged ones are passed over and named in `notices`. Nothing when there is
// none, or no such directory. Throws Error{io} (or of a permission's kind) when all are damaged or
// could not be read, and one could not. For one rank to call; the answer is to be broadcast.
std::optional<FoundCheckpoint> find_latest(const std::string& directory,
                                           std::vector<std::string>& notices,
                                           int64_t below = std::numeric_limits<int64_t>::max());

// The checkpoints there are, intact or not, ascending by step: the step_N directories, and those
// that a process which died while it replaced one left without their name.
std::vector<FoundCheckpoint> list_checkpoints(const std::string& directory);

struct Pruned {
  std::vector<FoundCheckpoint> removed;  // ascending by step
  std::vector<std::string> notices;      // of the lock
};

// Removes the checkpoints of `directory` that `retention` (keep_last >= 1) does not keep; what
// LATEST names is always kept. Holds the directory's lock meanwhile, so a run that writes there is
// a refusal, Error{environment}. Returns what was removed; with `dry_run`, what would be, without
// lock or change. Throws Error{input} when there is no such directory, and Error{io} naming what
// could not be removed, when the others are.
Pruned prune_checkpoints(const std::string& directory, const Retention& retention, bool dry_run);

struct VerifyReport {
  int64_t files = 0;
  int64_t blocks = 0;
  int64_t bytes = 0;                // of data, read and compared
  std::vector<std::string> faults;  // each names file, and dataset and block where it can

  bool intact() const { return faults.empty(); }
};

// Reads all of a checkpoint and compares everything the manifest says, down to each block, and the
// HDF5 structures as libhdf5 sees them. Throws only when `path` is no directory.
VerifyReport verify_checkpoint(const std::string& path);

}  // namespace weft
