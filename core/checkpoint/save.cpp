#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/base/error.h"
#include "core/checkpoint/blocks.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/files.h"
#include "core/checkpoint/manifest.h"
#include "core/checkpoint/publish.h"
#include "core/checkpoint/shard_file.h"
#include "core/dist/communicator.h"

namespace weft {
namespace {

// One rank's outcome of a stage of the save as one text: "" or the kind of its error and what it
// says, then what it has to tell the others.
struct Outcome {
  std::string error;
  ErrorKind kind = ErrorKind::io;
  std::string payload;
};

template <typename Action>
Outcome attempt(Action&& action) {
  Outcome outcome;
  try {
    outcome.payload = action();
  } catch (const Error& error) {
    outcome = {error.what(), error.kind(), ""};
  } catch (const std::exception& error) {
    outcome = {error.what(), ErrorKind::internal, ""};
  }
  return outcome;
}

std::string pack(const Outcome& outcome) {
  if (outcome.error.empty()) return "+" + outcome.payload;
  return fmt::format("-{}{}", static_cast<char>('0' + static_cast<int>(outcome.kind)),
                     outcome.error);
}

// The payload; on every rank alike, the error in place of it.
std::string unpack(const std::string& text, int rank, int64_t step) {
  if (text.starts_with('+')) return text.substr(1);
  const auto kind = static_cast<ErrorKind>(text.at(1) - '0');
  fail(kind, "no checkpoint of step {}: rank {}: {}", step, rank, text.substr(2));
}

// Everybody's payload, or the error of the lowest rank that has one. Collective.
std::vector<std::string> agree(const Outcome& mine, int64_t step, Bootstrap& bootstrap) {
  std::vector<std::string> all = bootstrap.all_gather(pack(mine));
  for (size_t rank = 0; rank < all.size(); ++rank) {
    all[rank] = unpack(all[rank], static_cast<int>(rank), step);
  }
  return all;
}

// What rank 0 did, or its error. Collective; `action` runs on rank 0.
template <typename Action>
std::string on_rank_zero(int64_t step, Bootstrap& bootstrap, Action&& action) {
  Outcome outcome;
  if (bootstrap.rank() == 0) outcome = attempt(action);
  return unpack(bootstrap.broadcast(pack(outcome), 0), 0, step);
}

void check_request(const SaveRequest& request) {
  WEFT_CHECK(request.step >= 0, "step {} of a checkpoint", request.step);
  const auto state = nlohmann::json::parse(request.run_state_json, nullptr, false);
  WEFT_CHECK(state.is_object(), "the run state is no JSON object: {}", request.run_state_json);
  for (const Attachment& attachment : request.attachments) {
    WEFT_CHECK(is_attachment_name(attachment.name), "attachment named '{}'", attachment.name);
  }
  if (request.lock != nullptr) {
    WEFT_CHECK(request.lock->directory() == request.directory, "lock of {} for a save into {}",
               request.lock->directory(), request.directory);
  }
}

void check_shard(const Shard& shard) {
  WEFT_CHECK(is_tensor_name(shard.tensor), "tensor named '{}'", shard.tensor);
  WEFT_CHECK(is_kind_name(shard.kind), "kind '{}' of tensor {}", shard.kind, shard.tensor);
  WEFT_CHECK(lies_within(shard.box, shard.global_shape), "tensor {}: box {} leaves shape {}",
             shard.tensor, to_string(shard.box), to_string(shard.global_shape));
  WEFT_CHECK(shard.data != nullptr || shard.box.elements() == 0, "tensor {}: no data",
             shard.tensor);
}

using TensorKey = std::pair<std::string, std::string>;  // name, kind

// This rank's tensors, sorted by name and kind, boxes in the order given; and each box's data.
struct Plan {
  Manifest part;
  std::vector<const Shard*> sources;  // per box, in the order of part
};

Plan plan(const SaveRequest& request) {
  std::map<TensorKey, std::vector<const Shard*>> tensors;
  for (const Shard& shard : request.shards) {
    check_shard(shard);
    if (shard.box.elements() > 0) tensors[{shard.tensor, shard.kind}].push_back(&shard);
  }
  Plan result;
  result.part.step = request.step;
  for (const auto& [key, shards] : tensors) {
    StoredTensor tensor{key.first, key.second, shards[0]->dtype, shards[0]->global_shape, {}};
    for (const Shard* shard : shards) {
      WEFT_CHECK(shard->dtype == tensor.dtype && shard->global_shape == tensor.shape,
                 "tensor {} ({}) has two types or shapes", key.first, key.second);
      StoredBox box;
      box.k = static_cast<int64_t>(tensor.boxes.size());
      box.box = shard->box;
      tensor.boxes.push_back(std::move(box));
      result.sources.push_back(shard);
    }
    result.part.tensors.push_back(std::move(tensor));
  }
  return result;
}

// Step 2 of a save: this rank's file. Returns its part of the manifest as text.
std::string write_shard_file(const SaveRequest& request, int rank, const std::string& staged,
                             FileWriter& writer) {
  Plan planned = plan(request);
  Manifest& part = planned.part;
  if (part.tensors.empty()) return write_part(part);
  const std::string name = shard_file_name(rank);
  const std::string path = staged + "/" + name;
  lay_out_shard_file(part, rank, path, writer);
  const FileDescriptor file = writer.open_existing(path);
  const int64_t bytes = file_size(file, path);
  part.files.push_back({name, bytes, metadata_digest(file, bytes, extents_of_file(part, 0), path)});
  auto source = planned.sources.begin();
  for (StoredTensor& tensor : part.tensors) {
    for (StoredBox& box : tensor.boxes) {
      const auto* data = static_cast<const std::byte*>((*source++)->data);
      write_blocks(box, {data, static_cast<size_t>(bytes_of(tensor, box))}, file, path, writer);
    }
  }
  writer.sync(file, path);
  return write_part(part);
}

// Step 3: the ranks' parts as one manifest. A tensor that is not whole is a bug of the caller.
Manifest merge(const SaveRequest& request, const std::vector<std::string>& parts) {
  Manifest result;
  result.step = request.step;
  result.code_version = request.code_version;
  result.run_state = request.run_state_json;
  std::map<TensorKey, StoredTensor> tensors;
  for (const std::string& text : parts) {
    Manifest part = parse_part(text);
    WEFT_CHECK(part.step == request.step, "a rank saves step {}, rank 0 step {}", part.step,
               request.step);
    const int file = static_cast<int>(result.files.size());
    for (StoredFile& stored : part.files) result.files.push_back(std::move(stored));
    for (StoredTensor& tensor : part.tensors) {
      const TensorKey key{tensor.name, tensor.kind};
      StoredTensor& whole =
          tensors
              .try_emplace(key,
                           StoredTensor{tensor.name, tensor.kind, tensor.dtype, tensor.shape, {}})
              .first->second;
      WEFT_CHECK(whole.dtype == tensor.dtype && whole.shape == tensor.shape,
                 "ranks disagree on type or shape of tensor {} ({})", key.first, key.second);
      for (StoredBox& box : tensor.boxes) {
        box.file = file;
        whole.boxes.push_back(std::move(box));
      }
    }
  }
  for (auto& [key, tensor] : tensors) {
    std::vector<Box> boxes;
    for (const StoredBox& box : tensor.boxes) boxes.push_back(box.box);
    const auto fault = coverage_fault(tensor.shape, boxes);
    WEFT_CHECK(!fault, "tensor {} ({}): {}", key.first, key.second, *fault);
    result.tensors.push_back(std::move(tensor));
  }
  return result;
}

int64_t total_bytes(const Manifest& manifest) {
  int64_t bytes = 0;
  for (const StoredFile& file : manifest.files) bytes += file.bytes;
  for (const StoredFile& file : manifest.attached) bytes += file.bytes;
  return bytes;
}

// Leaves nothing of a save that failed; the next save would sweep it, but the disk may be full.
void discard(const std::string& staged) {
  std::error_code ignored;
  std::filesystem::remove_all(staged, ignored);
}

}  // namespace

SaveResult save_checkpoint(const SaveRequest& request, Bootstrap& bootstrap) {
  const auto start = std::chrono::steady_clock::now();
  const bool first = bootstrap.rank() == 0;
  FileWriter writer(request.hooks);
  std::optional<DirectoryLock> own_lock;

  const std::string staged = on_rank_zero(request.step, bootstrap, [&] {
    check_request(request);
    if (request.lock == nullptr) own_lock.emplace(request.directory);
    return stage(request.directory, request.step, writer);
  });
  SaveResult result;
  try {
    const Outcome written =
        attempt([&] { return write_shard_file(request, bootstrap.rank(), staged, writer); });
    const std::vector<std::string> parts = agree(written, request.step, bootstrap);
    const std::string published = on_rank_zero(request.step, bootstrap, [&] {
      Manifest manifest = merge(request, parts);
      const std::string path =
          publish(staged, request.directory, manifest, request.attachments, writer);
      return fmt::format("{} {}", total_bytes(manifest), path);
    });
    const size_t space = published.find(' ');
    result.bytes = std::stoll(published.substr(0, space));
    result.path = published.substr(space + 1);
  } catch (const Error&) {
    if (first) discard(staged);
    throw;
  }
  if (first) result.notices = tidy(request.directory, request.step, request.retention, writer);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace weft
