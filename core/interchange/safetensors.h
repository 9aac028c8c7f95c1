// safetensors: named tensors in one file, or in several with an index. Reading trusts nothing: the
// header is checked as a whole before anything is read or allocated for it, and data is read from
// the file where it is wanted, never mapped. Format and checks: docs/interchange.md.
//
//   const SafetensorsModel model = SafetensorsModel::open("gpt2/");
//   const SafetensorsEntry& e = *model.find("wte.weight");
//   std::vector<std::byte> bytes(e.bytes());
//   model.read(e, bytes);
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/dtype.h"
#include "core/checkpoint/files.h"

namespace weft {

inline constexpr int64_t kSafetensorsHeaderLimit = 100'000'000;  // bytes, of the format

struct SafetensorsEntry {
  std::string name;
  std::string type;            // as the file spells it: "F32", "BF16", "I64", "F8_E4M3", ...
  std::optional<DType> dtype;  // absent for types that weft does not compute with
  std::vector<int64_t> shape;
  int64_t begin = 0;  // bytes, from the start of the data section
  int64_t end = 0;
  size_t file = 0;  // of a model's files; 0 in a header

  size_t bytes() const { return static_cast<size_t>(end - begin); }
};

struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;
  std::vector<SafetensorsEntry> tensors;  // in the order of their data
};

// Parses and checks the JSON of a header whose data section has `data_bytes` bytes: it is an object
// of known keys, none twice; types are known; sizes are those of type and shape; and the tensors
// tile the data section from its first byte to its last. Throws Error{input} naming `path` and the
// first thing that is wrong. Memory is linear in the text.
SafetensorsHeader parse_safetensors_header(std::string_view json, int64_t data_bytes,
                                           const std::string& path);

// The tensors of a model in one file or several.
class SafetensorsModel {
 public:
  // `path` is a .safetensors file, an index (.json) beside the files that it names, or a directory
  // with model.safetensors.index.json or model.safetensors. Files beside an index lie directly in
  // its directory and are no symbolic links; together they hold exactly the tensors that it lists.
  // Throws Error{input}.
  static SafetensorsModel open(const std::string& path);

  const std::vector<SafetensorsEntry>& tensors() const { return tensors_; }
  const SafetensorsEntry* find(std::string_view name) const;  // null when there is none
  const std::string& path_of(const SafetensorsEntry& entry) const;

  // Fills `out`, entry.bytes() long. Throws Error{input} when the file has been cut short since.
  void read(const SafetensorsEntry& entry, std::span<std::byte> out) const;

 private:
  struct File {
    std::string path;
    FileDescriptor descriptor;
    int64_t data_begin = 0;
  };
  void add_file(FileDescriptor descriptor, const std::string& path);
  void add_indexed(const std::string& index_path);
  void index_names();

  std::vector<File> files_;
  std::vector<SafetensorsEntry> tensors_;
  std::map<std::string, size_t, std::less<>> by_name_;
};

struct SafetensorsTensor {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;

  int64_t bytes() const;
};

// The first bytes of a file with these tensors: length, JSON, spaces up to a multiple of 8. Data
// follows in the order of `tensors`.
std::string safetensors_head(const std::vector<SafetensorsTensor>& tensors);

// The order in which the format wants tensors to lie: by descending size of their elements, then by
// name.
void sort_for_safetensors(std::vector<SafetensorsTensor>& tensors);

// Writes a new file; `fill` puts the bytes of a tensor, row-major, where it is told. One tensor is
// in memory at a time. Synced; throws Error{io}.
void write_safetensors(
    const std::string& path, const std::vector<SafetensorsTensor>& tensors,
    const std::function<void(const SafetensorsTensor&, std::span<std::byte>)>& fill);

}  // namespace weft
