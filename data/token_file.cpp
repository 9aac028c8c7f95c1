#include "data/token_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>

#include "core/base/error.h"
#include "data/token_layout.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

DataConfig::Format format_of_directory(const std::string& path) {
  if (is_weft_dataset(path)) return DataConfig::Format::weft;
  if (is_weft_dataset(path + "/train")) {
    fail(ErrorKind::input, "{}: holds several datasets; name {}/train or {}/validation", path, path,
         path);
  }
  fail(ErrorKind::input,
       "{}: a directory without manifest.json; name a dataset directory that `weft prepare` wrote",
       path);
}

// Decides by the first bytes; a file that is no token file of any kind is refused here.
DataConfig::Format format_of_file(const std::string& path) {
  const InputFile file(path, "token file");
  std::array<std::byte, 8> head{};
  const std::span filled(head.data(), static_cast<size_t>(std::min<int64_t>(8, file.size())));
  file.read(0, filled);
  if (std::memcmp(head.data(), "MMIDIDX", 7) == 0) return DataConfig::Format::megatron;
  std::error_code error;
  if (fs::exists(fs::path(path).replace_extension(".idx"), error))
    return DataConfig::Format::megatron;
  if (std::memcmp(head.data(), "WEFTTOKS", 8) == 0) {
    fail(ErrorKind::input, "{}: part of a dataset; name its directory instead", path);
  }
  if (file.size() == 0) {
    fail(ErrorKind::input, "{}: is empty; make it again, or run `weft prepare` on a text", path);
  }
  const uint32_t magic = load_u32(head, 0);
  if (magic >= 20240000 && magic < 20250000) return DataConfig::Format::llmc;
  fail(ErrorKind::input,
       "{}: neither a dataset directory of weft nor an llm.c or Megatron file; run `weft prepare` "
       "on a text, or set data.format",
       path);
}

DataConfig::Format detect(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return format_of_directory(path);
  if (!fs::exists(path, error) && fs::exists(path + ".idx", error)) {
    return DataConfig::Format::megatron;
  }
  return format_of_file(path);
}

}  // namespace

std::unique_ptr<TokenSource> open_tokens(const std::string& path, DataConfig::Format format) {
  ContentCheck nothing;
  return open_tokens(path, format, nothing);
}

std::unique_ptr<TokenSource> open_tokens(const std::string& path, DataConfig::Format format,
                                         ContentCheck& check) {
  switch (format == DataConfig::Format::automatic ? detect(path) : format) {
    case DataConfig::Format::weft:
      return make_token_source(read_weft_layout(path), check);
    case DataConfig::Format::llmc:
      return make_token_source(read_llmc_layout(path), check);
    case DataConfig::Format::megatron:
      return make_token_source(read_megatron_layout(path), check);
    case DataConfig::Format::automatic:
      break;
  }
  fail(ErrorKind::internal, "no reader for format {}", static_cast<int>(format));
}

}  // namespace weft
