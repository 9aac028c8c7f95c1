// A tokenizer inside a directory: tokenizer.json says the kind, the digest and the files beside it.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/json_text.h"
#include "core/base/strict_json.h"
#include "data/tokenizer/files.h"
#include "data/tokenizer/tokenizer.h"

namespace weft {
namespace {

constexpr const char* kIndexName = "tokenizer.json";
constexpr const char* kFormat = "weft-tokenizer";
constexpr int kVersion = 1;

std::string join(const std::string& directory, std::string_view name) {
  return (std::filesystem::path(directory) / name).string();
}

nlohmann::json read_index(const std::string& path) {
  const std::string text = tokenizer_detail::read_file(path, "tokenizer index");
  const nlohmann::json index = parse_strict_json(text, path);
  if (!index.contains("format") || index["format"] != kFormat) {
    fail(ErrorKind::input, "{}: not a tokenizer that weft saved (no \"format\": \"{}\")", path,
         kFormat);
  }
  return index;
}

template <typename T>
T field(const nlohmann::json& index, const char* key, const std::string& path) {
  try {
    return index.at(key).get<T>();
  } catch (const nlohmann::json::exception&) {
    fail(ErrorKind::input, "{}: field '{}' is missing or has the wrong type", path, key);
  }
}

// The spec whose paths are the files that Tokenizer::files names for this kind.
TokenizerSpec spec_of(const std::string& kind, const std::string& directory) {
  TokenizerSpec spec{.kind = kind, .vocab = {}, .merges = {}, .ranks = {}};
  if (kind == "char") spec.vocab = join(directory, "characters.txt");
  if (kind == "gpt2") {
    spec.vocab = join(directory, "vocab.json");
    spec.merges = join(directory, "merges.txt");
  }
  if (kind == "r50k" || kind == "cl100k") spec.ranks = join(directory, "ranks.tiktoken");
  return spec;
}

}  // namespace

std::vector<TokenizerFile> stored_files(const Tokenizer& tokenizer) {
  nlohmann::ordered_json index;
  index["format"] = kFormat;
  index["version"] = kVersion;
  index["kind"] = tokenizer.kind();
  index["description"] = tokenizer.description();
  index["vocab_size"] = tokenizer.vocab_size();
  index["digest"] = tokenizer.digest();
  index["files"] = nlohmann::ordered_json::array();
  std::vector<TokenizerFile> files = tokenizer.files();
  for (const TokenizerFile& file : files) index["files"].push_back(file.name);
  files.push_back(
      {kIndexName, json_text(index, 2) + "\n"});  // last: it says that the others are there
  return files;
}

void save_tokenizer(const Tokenizer& tokenizer, const std::string& directory) {
  for (const TokenizerFile& file : stored_files(tokenizer)) {
    tokenizer_detail::write_file(join(directory, file.name), file.bytes);
  }
}

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& directory) {
  const std::string path = join(directory, kIndexName);
  const nlohmann::json index = read_index(path);
  const auto version = field<int>(index, "version", path);
  if (version != kVersion) {
    fail(ErrorKind::input, "{}: version {}, this program reads version {}", path, version,
         kVersion);
  }
  const auto digest = field<std::string>(index, "digest", path);
  auto tokenizer = load_tokenizer(spec_of(field<std::string>(index, "kind", path), directory));
  if (tokenizer->digest() != digest) {
    fail(ErrorKind::input,
         "{}: the tokenizer files have digest {}, recorded is {}; a file was changed or damaged, "
         "restore it",
         path, tokenizer->digest(), digest);
  }
  return tokenizer;
}

}  // namespace weft
