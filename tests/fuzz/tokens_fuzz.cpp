// Token files: a byte for the format, two and two for the sizes of the first two files, then the
// files: llm.c's; Megatron's .idx and .bin; weft's manifest.json, tokens.bin and documents.bin.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "data/token_file.h"
#include "tests/fuzz/fuzz_target.h"

namespace weft {
namespace {

class Scratch {
 public:
  Scratch()
      : path_(std::filesystem::temp_directory_path() /
              ("weft-fuzz-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::string path(const char* name = "") const { return (path_ / name).string(); }
  void put(const char* name, const std::string& bytes) const {
    std::ofstream(path_ / name, std::ios::binary | std::ios::trunc) << bytes;
  }

 private:
  std::filesystem::path path_;
};

// Opens and reads all of it; documents lie within, ids are no less than 0.
void read_all(const std::string& path, DataConfig::Format format) {
  try {
    const std::unique_ptr<TokenSource> source = open_tokens(path, format);
    const std::span<const int64_t> documents = source->documents();
    require(std::is_sorted(documents.begin(), documents.end()), "documents out of order");
    require(documents.empty() || documents.back() == source->size(),
            "documents that end elsewhere");
    std::vector<TokenId> ids(static_cast<size_t>(source->size()));
    source->read(0, ids);
    require(std::all_of(ids.begin(), ids.end(), [](TokenId id) { return id >= 0; }),
            "a negative id");
    source->verify();
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::input, error.what());
  }
}

void run(std::string_view input) {
  static const Scratch scratch;
  const auto byte = [&](size_t i) {
    return static_cast<size_t>(static_cast<unsigned char>(input[i]));
  };
  const std::string_view files = input.substr(5);
  const size_t first = std::min(files.size(), byte(1) | byte(2) << 8);
  const size_t second = std::min(files.size() - first, byte(3) | byte(4) << 8);
  const auto part = [&](size_t begin, size_t count) {
    return std::string(files.substr(begin, count));
  };
  switch (byte(0) % 3) {
    case 0:
      scratch.put("t.bin", std::string(files));
      return read_all(scratch.path("t.bin"), DataConfig::Format::llmc);
    case 1:
      scratch.put("m.idx", part(0, first));
      scratch.put("m.bin", part(first, second));
      return read_all(scratch.path("m"), DataConfig::Format::megatron);
    default:
      scratch.put("manifest.json", part(0, first));
      scratch.put("tokens.bin", part(first, second));
      scratch.put("documents.bin", part(first + second, files.size()));
      return read_all(scratch.path(), DataConfig::Format::weft);
  }
}

}  // namespace
}  // namespace weft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size >= 5) weft::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
