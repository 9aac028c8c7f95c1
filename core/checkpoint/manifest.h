// Manifest: what a checkpoint holds, with sizes and digests (docs/checkpoint_format.md, section 3).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/digest.h"
#include "core/base/dtype.h"
#include "core/base/shape.h"
#include "core/checkpoint/box.h"

namespace weft {

inline constexpr int kCheckpointSchema = 1;
inline constexpr int64_t kBlockBytes = int64_t{16} << 20;
inline constexpr char kManifestName[] = "manifest.json";
inline constexpr char kAttachedDirectory[] = "attached";
inline constexpr int64_t kManifestLimit = int64_t{1} << 30;  // bytes

struct StoredBox {
  int file = 0;   // index into Manifest::files
  int64_t k = 0;  // of its dataset, /tensors/<tensor>/<kind>/box_<k>
  Box box;
  int64_t at = 0;  // byte position of the dataset in the file
  Digest digest;
  std::vector<Digest> blocks;
};

struct StoredTensor {
  std::string name;
  std::string kind;
  DType dtype = DType::f32;
  Shape shape;
  std::vector<StoredBox> boxes;
};

struct StoredFile {
  std::string name;
  int64_t bytes = 0;
  Digest digest;  // of a shard file: its metadata digest
};

struct Manifest {
  int64_t step = 0;
  std::string code_version;
  std::string run_state = "{}";  // JSON object
  std::vector<StoredFile> files;
  std::vector<StoredFile> attached;
  std::vector<StoredTensor> tensors;
};

int64_t bytes_of(const StoredTensor& tensor, const StoredBox& box);
int64_t block_count(int64_t bytes);
std::string dataset_path(const StoredTensor& tensor, const StoredBox& box);
std::string shard_file_name(int rank);
std::string step_directory_name(int64_t step);
bool parse_step_directory_name(std::string_view name, int64_t& step);

bool is_tensor_name(std::string_view name);
bool is_kind_name(std::string_view name);
bool is_attachment_name(std::string_view name);

// The file's text, digest included.
std::string write_manifest(const Manifest& manifest);

// Inverse of write_manifest, for text that nobody vouches for. Throws Error{input} that names
// `path` and the first violation of section 3.
Manifest parse_manifest(std::string_view text, const std::string& path);

// One rank's files and boxes as text and back, for the exchange at the end of a save. Only what
// write_part wrote is understood.
std::string write_part(const Manifest& part);
Manifest parse_part(const std::string& text);

// What an intact manifest promises beyond its syntax; throws Error{input} naming `path`.
void check_manifest(const Manifest& manifest, const std::string& path);

// The dataset byte ranges of one file, ascending and disjoint.
struct Extent {
  int64_t at;
  int64_t bytes;
};
std::vector<Extent> extents_of_file(const Manifest& manifest, int file);

}  // namespace weft
