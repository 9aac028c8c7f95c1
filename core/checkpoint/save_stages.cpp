#include "core/checkpoint/save_stages.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/base/error.h"
#include "core/base/json_text.h"
#include "core/checkpoint/agreement.h"
#include "core/checkpoint/blocks.h"
#include "core/checkpoint/manifest.h"
#include "core/checkpoint/publish.h"
#include "core/checkpoint/shard_file.h"
#include "core/mesh/communicator.h"

namespace weft {
namespace {

void check_request(const SaveRequest& request) {
  WEFT_CHECK(request.step >= 0, "step {} of a checkpoint", request.step);
  const auto state = parse_json_if_any(request.run_state_json);
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

}  // namespace

std::string stage_save(const SaveRequest& request, Bootstrap& bootstrap, FileWriter& writer,
                       std::optional<DirectoryLock>& lock, std::vector<std::string>& notices) {
  Outcome outcome;
  if (bootstrap.rank() == 0) {
    outcome = attempt([&] {
      check_request(request);
      std::string notice;
      if (request.lock == nullptr) {
        notice = lock.emplace(request.directory).notice();
      } else {
        notice = request.lock->confirm();
      }
      if (!notice.empty()) notices.push_back(std::move(notice));
      return stage(request.directory, request.step, writer);
    });
  }
  return agree_with_rank_zero(outcome, request.step, bootstrap);
}

std::string write_shards(const SaveRequest& request, int rank, const std::string& staged,
                         FileWriter& writer) {
  Plan planned = plan(request);
  Manifest& part = planned.part;
  if (part.tensors.empty()) return write_part(part);
  const std::string name = shard_file_name(rank);
  const std::string path = staged + "/" + name;
  const FileImage image = lay_out_shard_file(part, rank, path);
  const auto read = [&](int64_t at, std::span<std::byte> out) { image.read(at, out); };
  part.files.push_back(
      {name, image.bytes(), metadata_digest(read, image.bytes(), extents_of_file(part, 0))});

  FileDescriptor file = writer.create(path);
  write_image(image, file, path, writer);
  auto source = planned.sources.begin();
  for (StoredTensor& tensor : part.tensors) {
    for (StoredBox& box : tensor.boxes) {
      const auto* data = static_cast<const std::byte*>((*source++)->data);
      write_blocks(box, {data, static_cast<size_t>(bytes_of(tensor, box))}, file, path, writer);
    }
  }
  writer.sync(file, path);
  writer.close(std::move(file), path);
  return write_part(part);
}

Committed commit_save(const SaveRequest& request, const std::string& staged,
                      const std::vector<std::string>& parts, FileWriter& writer) {
  Committed result;
  try {
    Manifest manifest = merge(request, parts);
    if (request.lock != nullptr) {
      if (std::string notice = request.lock->confirm(); !notice.empty()) {
        result.notices.push_back(std::move(notice));
      }
    }
    result.path = publish(staged, request.directory, manifest, request.attachments, writer);
    result.bytes = total_bytes(manifest);
  } catch (const Error& error) {
    discard_save(staged, error);
  }
  for (std::string& line : tidy(request.directory, request.step, request.retention, writer)) {
    result.notices.push_back(std::move(line));
  }
  return result;
}

void discard_save(const std::string& staged, const Error& error) {
  std::error_code cause;
  std::filesystem::remove_all(staged, cause);
  if (!cause) throw error;
  fail(error.kind(), "{}; its draft stays, as it cannot be removed: {}: {}", error.what(), staged,
       cause.message());
}

}  // namespace weft
