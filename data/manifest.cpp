#include "data/manifest.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/json_text.h"
#include "core/base/strict_json.h"
#include "data/file.h"

namespace weft {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;  // for writing

constexpr const char* kFormat = "weft-tokens";
constexpr int64_t kVersion = 1;
constexpr int64_t kLargestBytes = int64_t{256} << 20;

OrderedJson record_to_json(const FileRecord& record) {
  return {{"name", record.name}, {"bytes", record.bytes}, {"xxh3_128", record.digest}};
}

// Fields of one JSON object, with errors that name the manifest and the field.
class Reader {
 public:
  Reader(const Json& object, const std::string& path) : object_(object), path_(path) {
    if (!object.is_object()) fail(ErrorKind::input, "{}: not a JSON object; {}", path, kFix);
  }

  std::string text(const char* key) const {
    const Json& value = field(key);
    if (!value.is_string()) wrong(key, "a string");
    return value.get<std::string>();
  }
  int64_t count(const char* key, int64_t low = 0) const {
    const Json& value = field(key);
    if (!value.is_number_integer() || value.get<int64_t>() < low) {
      wrong(key, fmt::format("an integer of at least {}", low));
    }
    return value.get<int64_t>();
  }
  bool flag(const char* key) const {
    const Json& value = field(key);
    if (!value.is_boolean()) wrong(key, "true or false");
    return value.get<bool>();
  }
  Reader object(const char* key) const { return Reader(field(key), path_); }
  const Json& array(const char* key) const {
    const Json& value = field(key);
    if (!value.is_array()) wrong(key, "a list");
    return value;
  }

  [[noreturn]] void wrong(const char* key, std::string_view expected) const {
    fail(ErrorKind::input, "{}: field '{}' is not {}; {}", path_, key, expected, kFix);
  }

 private:
  static constexpr const char* kFix = "run `weft prepare` again";

  const Json& field(const char* key) const {
    const auto it = object_.find(key);
    if (it == object_.end()) fail(ErrorKind::input, "{}: no field '{}'; {}", path_, key, kFix);
    return *it;
  }

  const Json& object_;
  const std::string& path_;
};

FileRecord read_record(const Reader& reader) {
  return {reader.text("name"), reader.count("bytes"), reader.text("xxh3_128")};
}

Json parse(const std::string& path) {
  const InputFile file(path, "dataset manifest");
  if (file.size() > kLargestBytes) {
    fail(ErrorKind::input, "{}: {} bytes, a manifest has at most {}", path, file.size(),
         kLargestBytes);
  }
  Json json;
  try {
    json = parse_strict_json(file.read_all(), path);
  } catch (const Error& error) {
    fail(error.kind(), "{}: not the manifest of a dataset that `weft prepare` wrote: {}", path,
         error.what());
  }
  if (!json.contains("format") || json["format"] != kFormat) {
    fail(ErrorKind::input,
         "{}: not the manifest of a dataset that `weft prepare` wrote (no \"format\": \"{}\")",
         path, kFormat);
  }
  return json;
}

}  // namespace

std::string to_json(const DatasetManifest& manifest) {
  OrderedJson json;
  json["format"] = kFormat;
  json["version"] = kVersion;
  json["split"] = manifest.split;
  json["tokens"] = manifest.tokens;
  json["documents"] = manifest.documents;
  json["skipped_documents"] = manifest.skipped_documents;
  json["vocab_size"] = manifest.vocab_size;
  json["type"] = name(manifest.code);
  json["largest_id"] = manifest.largest.id;
  json["largest_id_position"] = manifest.largest.position;
  json["append_eot"] = manifest.append_eot;
  json["tokenizer"] = {{"directory", kTokenizerName},
                       {"kind", manifest.tokenizer_kind},
                       {"digest", manifest.tokenizer_digest},
                       {"description", manifest.tokenizer_description}};
  json["files"] = {record_to_json(manifest.tokens_file), record_to_json(manifest.documents_file)};
  json["sources"] = OrderedJson::array();
  for (const FileRecord& source : manifest.sources) {
    json["sources"].push_back(record_to_json(source));
  }
  // A source path may hold any bytes; those that are not UTF-8 become U+FFFD.
  return json_text(json, 2) + "\n";
}

DatasetManifest read_manifest(const std::string& path) {
  const Json json = parse(path);
  const Reader reader(json, path);
  if (const int64_t version = reader.count("version"); version != kVersion) {
    fail(ErrorKind::input, "{}: version {}, this program reads version {}", path, version,
         kVersion);
  }
  DatasetManifest manifest;
  manifest.split = reader.text("split");
  manifest.tokens = reader.count("tokens", 1);
  manifest.documents = reader.count("documents", 1);
  manifest.skipped_documents = reader.count("skipped_documents");
  manifest.vocab_size = reader.count("vocab_size", 1);
  const auto code = parse_token_code(reader.text("type"));
  if (!code) reader.wrong("type", "a token type");
  manifest.code = *code;
  const int64_t largest = reader.count("largest_id");
  if (largest >= manifest.vocab_size || largest > std::numeric_limits<TokenId>::max()) {
    reader.wrong("largest_id", "below vocab_size");
  }
  manifest.largest = {static_cast<TokenId>(largest), reader.count("largest_id_position")};
  manifest.append_eot = reader.flag("append_eot");
  const Reader tokenizer = reader.object("tokenizer");
  manifest.tokenizer_kind = tokenizer.text("kind");
  manifest.tokenizer_digest = tokenizer.text("digest");
  manifest.tokenizer_description = tokenizer.text("description");
  const Json& files = reader.array("files");
  if (files.size() != 2) reader.wrong("files", "a list of two files");
  manifest.tokens_file = read_record(Reader(files[0], path));
  manifest.documents_file = read_record(Reader(files[1], path));
  for (const Json& source : reader.array("sources")) {
    manifest.sources.push_back(read_record(Reader(source, path)));
  }
  return manifest;
}

}  // namespace weft
