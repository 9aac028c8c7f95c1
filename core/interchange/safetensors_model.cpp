// Reading: files, indexes and directories of them.
#include <fcntl.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/base/error.h"
#include "core/base/json_text.h"
#include "core/base/strict_json.h"
#include "core/interchange/input.h"
#include "core/interchange/safetensors.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

constexpr int64_t kLengthBytes = 8;
constexpr int64_t kIndexLimit = int64_t{64} << 20;  // bytes; of some million tensors
constexpr char kIndexName[] = "model.safetensors.index.json";
constexpr char kModelName[] = "model.safetensors";

bool is_plain_file_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

// tensor -> file of an index.
std::map<std::string, std::string> read_weight_map(const std::string& text,
                                                   const std::string& path) {
  const nlohmann::json json = parse_strict_json(text, path);
  const auto found = json.find("weight_map");
  if (found == json.end() || !found->is_object() || found->empty()) {
    fail(ErrorKind::input, "{}: has no weight_map that names tensors and their files", path);
  }
  std::map<std::string, std::string> result;
  for (const auto& item : found->items()) {
    if (!item.value().is_string() || !is_plain_file_name(item.value().get<std::string>())) {
      fail(ErrorKind::input,
           "{}: tensor '{}' is in {}, which is no name of a file beside the index", path,
           printable(item.key()), printable(json_text(item.value())));
    }
    result[item.key()] = item.value().get<std::string>();
  }
  return result;
}

}  // namespace

SafetensorsModel SafetensorsModel::open(const std::string& path) {
  SafetensorsModel model;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    const fs::path directory(path);
    if (fs::exists(directory / kIndexName, error)) {
      model.add_indexed((directory / kIndexName).string());
    } else if (fs::exists(directory / kModelName, error)) {
      const std::string file = (directory / kModelName).string();
      model.add_file(open_input(file), file);
    } else {
      fail(ErrorKind::input, "{} has neither {} nor {}; name the file", path, kModelName,
           kIndexName);
    }
  } else if (path.ends_with(".json")) {
    model.add_indexed(path);
  } else {
    model.add_file(open_input(path), path);
  }
  model.index_names();
  return model;
}

void SafetensorsModel::add_file(FileDescriptor descriptor, const std::string& path) {
  const int64_t size = file_size(descriptor, path);
  uint64_t length = 0;
  if (size < kLengthBytes) {
    fail(ErrorKind::input, "{}: {} bytes are no safetensors file", path, size);
  }
  read_at(descriptor, 0, std::as_writable_bytes(std::span(&length, 1)), path);
  if (length > static_cast<uint64_t>(kSafetensorsHeaderLimit)) {
    fail(ErrorKind::input,
         "{}: a header of {} bytes is longer than the {} that the format allows; is this a "
         "safetensors file?",
         path, length, kSafetensorsHeaderLimit);
  }
  const auto header_bytes = static_cast<int64_t>(length);
  if (header_bytes > size - kLengthBytes) {
    fail(ErrorKind::input, "{}: a header of {} bytes in a file of {}; it has been cut short", path,
         header_bytes, size);
  }
  std::string json(length, '\0');
  read_at(descriptor, kLengthBytes, std::as_writable_bytes(std::span(json)), path);
  const int64_t data_begin = kLengthBytes + header_bytes;
  SafetensorsHeader header = parse_safetensors_header(json, size - data_begin, path);
  for (SafetensorsEntry& entry : header.tensors) {
    entry.file = files_.size();
    tensors_.push_back(std::move(entry));
  }
  files_.push_back({path, std::move(descriptor), data_begin});
}

void SafetensorsModel::add_indexed(const std::string& index_path) {
  const fs::path directory = fs::path(index_path).parent_path();
  const std::string text = read_text(open_input(index_path), kIndexLimit, index_path);
  std::map<std::string, std::string> weight_map = read_weight_map(text, index_path);
  std::map<std::string, size_t> files;
  for (const auto& [tensor, name] : weight_map) {
    if (files.contains(name)) continue;
    files[name] = files_.size();
    const std::string path = (directory / name).string();
    add_file(open_input(path), path);
  }
  for (const SafetensorsEntry& entry : tensors_) {
    const auto listed = weight_map.find(entry.name);
    if (listed == weight_map.end() || files.at(listed->second) != entry.file) {
      fail(ErrorKind::input, "{} holds tensor '{}', which {} {}", path_of(entry),
           printable(entry.name), index_path,
           listed == weight_map.end() ? "does not list" : "lists in another file");
    }
  }
  if (tensors_.size() == weight_map.size()) return;
  for (const SafetensorsEntry& entry : tensors_) weight_map.erase(entry.name);
  fail(ErrorKind::input, "{} lists tensor '{}' in {}, which does not hold it", index_path,
       printable(weight_map.begin()->first), weight_map.begin()->second);
}

void SafetensorsModel::index_names() {
  for (size_t i = 0; i < tensors_.size(); ++i) by_name_[tensors_[i].name] = i;
}

const SafetensorsEntry* SafetensorsModel::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

const std::string& SafetensorsModel::path_of(const SafetensorsEntry& entry) const {
  return files_[entry.file].path;
}

void SafetensorsModel::read(const SafetensorsEntry& entry, std::span<std::byte> out) const {
  WEFT_CHECK(out.size() == entry.bytes(), "{} bytes for tensor {} of {}", out.size(), entry.name,
             entry.bytes());
  const File& file = files_[entry.file];
  read_at(file.descriptor, file.data_begin + entry.begin, out, file.path);
}

}  // namespace weft
