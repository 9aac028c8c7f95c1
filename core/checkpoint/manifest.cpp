#include "core/checkpoint/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>
#include <utility>

#include "core/base/error.h"

namespace weft {
namespace {

bool is_name(std::string_view name, size_t limit, bool (*allowed)(char)) {
  return !name.empty() && name.size() <= limit && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), allowed);
}

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_kind_char(char c) { return is_lower_or_digit(c) || c == '_'; }
bool is_tensor_char(char c) {
  return is_kind_char(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == '-';
}

bool is_shard_file_name(std::string_view name) {
  return name.size() >= 13 && name.starts_with("rank_") && name.ends_with(".h5") &&
         std::all_of(name.begin() + 5, name.end() - 3, [](char c) { return c >= '0' && c <= '9'; });
}

// Bytes of a shape's elements, or -1 when they do not fit 63 bits.
int64_t checked_bytes(const Shape& shape, DType dtype) {
  int64_t bytes = static_cast<int64_t>(size_of(dtype));
  for (int64_t e : shape) {
    if (__builtin_mul_overflow(bytes, e, &bytes)) return -1;
  }
  return bytes;
}

// A name that nobody vouches for, fit for a message: short, and a control character as '?'.
std::string printable(std::string_view name) {
  std::string text(name.substr(0, 80));
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 127; }, '?');
  return text;
}

// One check of a manifest fails: says which file and what.
template <typename... Args>
[[noreturn]] void refuse(const std::string& path, fmt::format_string<Args...> text,
                         Args&&... args) {
  fail(ErrorKind::input, "{}: {}", path, fmt::format(text, std::forward<Args>(args)...));
}

void check_files(const std::vector<StoredFile>& files, bool (*legal)(std::string_view),
                 const std::string& path) {
  std::set<std::string> seen;
  for (const StoredFile& file : files) {
    if (!legal(file.name))
      refuse(path, "'{}' is no legal file name in a checkpoint", printable(file.name));
    if (!seen.insert(file.name).second) refuse(path, "file {} is listed twice", file.name);
    if (file.bytes < 0) refuse(path, "file {} has {} bytes", file.name, file.bytes);
  }
}

void check_box(const Manifest& manifest, const StoredTensor& tensor, const StoredBox& stored,
               const std::string& path) {
  const std::string where = dataset_path(tensor, stored);
  const Box& box = stored.box;
  if (!lies_within(box, tensor.shape)) {
    refuse(path, "{}: the box does not lie within the tensor's shape {}", where,
           to_string(tensor.shape));
  }
  if (box.elements() == 0) refuse(path, "{}: the box is empty", where);
  if (stored.file < 0 || static_cast<size_t>(stored.file) >= manifest.files.size()) {
    refuse(path, "{}: file index {} of {} files", where, stored.file, manifest.files.size());
  }
  const StoredFile& file = manifest.files[static_cast<size_t>(stored.file)];
  const int64_t bytes = bytes_of(tensor, stored);
  if (stored.at < 0 || bytes > file.bytes || stored.at > file.bytes - bytes) {
    refuse(path, "{}: bytes [{}, +{}) leave {} with its {} bytes", where, stored.at, bytes,
           file.name, file.bytes);
  }
  if (static_cast<int64_t>(stored.blocks.size()) != block_count(bytes)) {
    refuse(path, "{}: {} block digests for {} blocks", where, stored.blocks.size(),
           block_count(bytes));
  }
}

void check_tensor(const Manifest& manifest, const StoredTensor& tensor, const std::string& path) {
  if (!is_tensor_name(tensor.name))
    refuse(path, "'{}' is no legal tensor name", printable(tensor.name));
  if (!is_kind_name(tensor.kind)) {
    refuse(path, "tensor {}: '{}' is no legal kind", tensor.name, printable(tensor.kind));
  }
  if (checked_bytes(tensor.shape, tensor.dtype) < 0) {
    refuse(path, "tensor {}: shape {} is too large", tensor.name, to_string(tensor.shape));
  }
  std::vector<Box> boxes;
  for (const StoredBox& box : tensor.boxes) {
    check_box(manifest, tensor, box, path);
    boxes.push_back(box.box);
  }
  if (const auto fault = coverage_fault(tensor.shape, boxes)) {
    refuse(path, "tensor {} ({}): {}", tensor.name, tensor.kind, *fault);
  }
}

}  // namespace

int64_t bytes_of(const StoredTensor& tensor, const StoredBox& box) {
  return box.box.elements() * static_cast<int64_t>(size_of(tensor.dtype));
}

int64_t block_count(int64_t bytes) { return (bytes + kBlockBytes - 1) / kBlockBytes; }

std::string dataset_path(const StoredTensor& tensor, const StoredBox& box) {
  return fmt::format("/tensors/{}/{}/box_{}", tensor.name, tensor.kind, box.k);
}

std::string shard_file_name(int rank) { return fmt::format("rank_{:05}.h5", rank); }

std::string step_directory_name(int64_t step) { return fmt::format("step_{:08}", step); }

bool parse_step_directory_name(std::string_view name, int64_t& step) {
  if (!name.starts_with("step_")) return false;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + 5, end, step);
  return error == std::errc() && stop == end && step >= 0 && step_directory_name(step) == name;
}

bool is_tensor_name(std::string_view name) { return is_name(name, 255, is_tensor_char); }
bool is_kind_name(std::string_view name) { return is_name(name, 64, is_kind_char); }
bool is_attachment_name(std::string_view name) { return is_name(name, 128, is_tensor_char); }

void check_manifest(const Manifest& manifest, const std::string& path) {
  if (manifest.step < 0) refuse(path, "step {} is negative", manifest.step);
  check_files(manifest.files, is_shard_file_name, path);
  check_files(manifest.attached, is_attachment_name, path);
  std::set<std::pair<std::string, std::string>> seen;
  std::set<std::tuple<std::string, std::string, int, int64_t>> datasets;
  for (const StoredTensor& tensor : manifest.tensors) {
    check_tensor(manifest, tensor, path);
    if (!seen.insert({tensor.name, tensor.kind}).second) {
      refuse(path, "tensor {} ({}) is listed twice", tensor.name, tensor.kind);
    }
    for (const StoredBox& box : tensor.boxes) {
      if (!datasets.insert({tensor.name, tensor.kind, box.file, box.k}).second) {
        refuse(path, "{} is listed twice", dataset_path(tensor, box));
      }
    }
  }
  for (size_t file = 0; file < manifest.files.size(); ++file) {
    const std::vector<Extent> extents = extents_of_file(manifest, static_cast<int>(file));
    for (size_t i = 1; i < extents.size(); ++i) {
      if (extents[i].at < extents[i - 1].at + extents[i - 1].bytes) {
        refuse(path, "two datasets of {} share byte {}", manifest.files[file].name, extents[i].at);
      }
    }
  }
}

std::vector<Extent> extents_of_file(const Manifest& manifest, int file) {
  std::vector<Extent> extents;
  for (const StoredTensor& tensor : manifest.tensors) {
    for (const StoredBox& box : tensor.boxes) {
      if (box.file == file) extents.push_back({box.at, bytes_of(tensor, box)});
    }
  }
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return a.at < b.at; });
  return extents;
}

}  // namespace weft
