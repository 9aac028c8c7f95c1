// Manifest as text: the frame, the digest and the JSON within.
#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "core/base/error.h"
#include "core/base/json_text.h"
#include "core/checkpoint/manifest.h"

namespace weft {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFrameHead = "{\"weft_checkpoint\": ";
constexpr std::string_view kFrameDigest = ", \"digest\": \"";
constexpr std::string_view kFrameTail = "\", \"manifest\":\n";
constexpr int kDepthLimit = 64;

Json to_json(const Shape& shape) {
  Json list = Json::array();
  for (int64_t e : shape) list.push_back(e);
  return list;
}

Json to_json(const StoredFile& file, const char* digest_key) {
  return Json{{"name", file.name}, {"bytes", file.bytes}, {digest_key, to_string(file.digest)}};
}

Json to_json(const StoredBox& box) {
  Json blocks = Json::array();
  for (const Digest& digest : box.blocks) blocks.push_back(to_string(digest));
  return Json{{"file", box.file},
              {"box", box.k},
              {"offset", to_json(box.box.offset)},
              {"extent", to_json(box.box.extent)},
              {"at", box.at},
              {"digest", to_string(box.digest)},
              {"blocks", std::move(blocks)}};
}

Json to_json(const StoredTensor& tensor) {
  Json boxes = Json::array();
  for (const StoredBox& box : tensor.boxes) boxes.push_back(to_json(box));
  return Json{{"name", tensor.name},
              {"kind", tensor.kind},
              {"dtype", std::string(name(tensor.dtype))},
              {"shape", to_json(tensor.shape)},
              {"boxes", std::move(boxes)}};
}

// Reads one value after another out of parsed JSON and says where it disagrees.
class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path) {}

  // The members of an object that has exactly these keys.
  const Json& object(const Json& json, const std::string& where,
                     std::initializer_list<const char*> keys) const {
    if (!json.is_object()) refuse(where, "is not an object");
    for (const char* key : keys) {
      if (!json.contains(key)) refuse(where, fmt::format("lacks '{}'", key));
    }
    for (const auto& item : json.items()) {
      const auto known = [&](const char* key) { return item.key() == key; };
      if (std::none_of(keys.begin(), keys.end(), known)) {
        refuse(where, fmt::format("has an unknown key '{}'", item.key()));
      }
    }
    return json;
  }

  const Json& array(const Json& json, const std::string& where) const {
    if (!json.is_array()) refuse(where, "is not a list");
    return json;
  }

  int64_t natural(const Json& json, const std::string& where) const {
    constexpr auto kLargest = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    if (!json.is_number_unsigned() || json.get<uint64_t>() > kLargest) {
      refuse(where, "is not a natural number");
    }
    return json.get<int64_t>();
  }

  std::string text(const Json& json, const std::string& where) const {
    if (!json.is_string()) refuse(where, "is not a string");
    return json.get<std::string>();
  }

  Digest digest(const Json& json, const std::string& where) const {
    Digest result;
    if (!json.is_string() || !parse_digest(json.get_ref<const std::string&>(), result)) {
      refuse(where, "is not a digest of 32 hex digits");
    }
    return result;
  }

  Shape shape(const Json& json, const std::string& where) const {
    if (array(json, where).size() > size_t{Shape::kMaxRank}) {
      refuse(where, fmt::format("has more than {} dims", Shape::kMaxRank));
    }
    Shape result;
    for (const Json& e : json) result.push_back(natural(e, where));
    return result;
  }

  std::vector<StoredFile> files(const Json& json, const std::string& where,
                                const char* digest_key) const {
    std::vector<StoredFile> result;
    for (const Json& item : array(json, where)) {
      const Json& file = object(item, where, {"name", "bytes", digest_key});
      result.push_back({text(file["name"], where + ".name"),
                        natural(file["bytes"], where + ".bytes"),
                        digest(file[digest_key], where + "." + digest_key)});
    }
    return result;
  }

  StoredTensor tensor(const Json& json) const {
    object(json, "tensors", {"name", "kind", "dtype", "shape", "boxes"});
    StoredTensor result;
    result.name = text(json["name"], "tensors.name");
    const std::string where = "tensor " + result.name;
    result.kind = text(json["kind"], where + ": kind");
    result.dtype = dtype(text(json["dtype"], where + ": dtype"), where);
    result.shape = shape(json["shape"], where + ": shape");
    for (const Json& item : array(json["boxes"], where + ": boxes")) {
      result.boxes.push_back(box(item, where + ": box"));
    }
    return result;
  }

  [[noreturn]] void refuse(const std::string& where, const std::string& what) const {
    fail(ErrorKind::input, "{}: {} {}", path_, where, what);
  }

 private:
  DType dtype(const std::string& word, const std::string& where) const {
    try {
      return parse_dtype(word);
    } catch (const Error& error) {
      refuse(where, error.what());
    }
  }

  StoredBox box(const Json& json, const std::string& where) const {
    object(json, where, {"file", "box", "offset", "extent", "at", "digest", "blocks"});
    StoredBox result;
    const int64_t file = natural(json["file"], where + ".file");
    if (file > std::numeric_limits<int>::max()) refuse(where, "has no legal file index");
    result.file = static_cast<int>(file);
    result.k = natural(json["box"], where + ".box");
    result.box.offset = shape(json["offset"], where + ".offset");
    result.box.extent = shape(json["extent"], where + ".extent");
    result.at = natural(json["at"], where + ".at");
    result.digest = digest(json["digest"], where + ".digest");
    for (const Json& item : array(json["blocks"], where + ".blocks")) {
      result.blocks.push_back(digest(item, where + ".blocks"));
    }
    return result;
  }

  const std::string& path_;
};

// JSON that nobody vouches for: bounded depth, no key twice.
Json parse_json(std::string_view text, const std::string& path) {
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kDepthLimit) fail(ErrorKind::input, "{}: nested over {} deep", path, kDepthLimit);
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key &&
        !keys.back().insert(parsed.get<std::string>()).second) {
      fail(ErrorKind::input, "{}: key '{}' is there twice", path, parsed.get<std::string>());
    }
    return true;
  };
  try {
    return Json::parse(text, check);
  } catch (const Json::exception& error) {
    fail(ErrorKind::input, "{}: {}", path, error.what());
  }
}

Json content_of(const Manifest& manifest) {
  Json files = Json::array(), attached = Json::array(), tensors = Json::array();
  for (const StoredFile& file : manifest.files) files.push_back(to_json(file, "metadata_digest"));
  for (const StoredFile& file : manifest.attached) attached.push_back(to_json(file, "digest"));
  for (const StoredTensor& tensor : manifest.tensors) tensors.push_back(to_json(tensor));
  return Json{{"step", manifest.step},
              {"code_version", manifest.code_version},
              {"run_state", Json::parse(manifest.run_state)},
              {"files", std::move(files)},
              {"attached", std::move(attached)},
              {"tensors", std::move(tensors)}};
}

Manifest manifest_of(const Json& json, const std::string& path) {
  const Reader reader(path);
  reader.object(json, "manifest",
                {"step", "code_version", "run_state", "files", "attached", "tensors"});
  Manifest result;
  result.step = reader.natural(json["step"], "step");
  result.code_version = reader.text(json["code_version"], "code_version");
  if (!json["run_state"].is_object()) reader.refuse("run_state", "is not an object");
  result.run_state = json_text(json["run_state"]);
  result.files = reader.files(json["files"], "files", "metadata_digest");
  result.attached = reader.files(json["attached"], "attached", "digest");
  for (const Json& item : reader.array(json["tensors"], "tensors")) {
    result.tensors.push_back(reader.tensor(item));
  }
  return result;
}

// Where the digest stands in the frame of a schema this program knows; throws otherwise.
size_t digest_position(std::string_view text, const std::string& path) {
  if (!text.starts_with(kFrameHead)) {
    fail(ErrorKind::input, "{}: does not begin like a weft checkpoint manifest", path);
  }
  const size_t end = text.find(',');
  const std::string_view schema =
      text.substr(kFrameHead.size(), end == std::string_view::npos ? 0 : end - kFrameHead.size());
  if (schema != std::to_string(kCheckpointSchema)) {
    fail(ErrorKind::input, "{}: schema '{:.20}', this program reads schema {}; use a newer weft",
         path, schema, kCheckpointSchema);
  }
  const size_t at = end + kFrameDigest.size();
  const size_t tail = at + size_t{kDigestDigits};
  if (text.substr(end, kFrameDigest.size()) != kFrameDigest || text.size() < tail ||
      text.substr(tail, kFrameTail.size()) != kFrameTail) {
    fail(ErrorKind::input, "{}: the frame around the manifest is damaged", path);
  }
  return at;
}

Digest frame_digest(std::string_view text, size_t at) {
  DigestStream stream;
  const std::string zeros(size_t{kDigestDigits}, '0');
  for (std::string_view piece :
       {text.substr(0, at), std::string_view(zeros), text.substr(at + zeros.size())}) {
    stream.add(std::as_bytes(std::span(piece)));
  }
  return stream.finish();
}

}  // namespace

std::string write_manifest(const Manifest& manifest) {
  const std::string zeros(size_t{kDigestDigits}, '0');
  std::string text =
      fmt::format("{}{}{}{}{}", kFrameHead, kCheckpointSchema, kFrameDigest, zeros, kFrameTail);
  const size_t at = text.size() - kFrameTail.size() - zeros.size();
  text += json_text(content_of(manifest)) + "\n}\n";
  return text.replace(at, zeros.size(), to_string(frame_digest(text, at)));
}

Manifest parse_manifest(std::string_view text, const std::string& path) {
  const size_t at = digest_position(text, path);
  Digest stated;
  if (!parse_digest(text.substr(at, size_t{kDigestDigits}), stated) ||
      stated != frame_digest(text, at)) {
    fail(ErrorKind::input, "{}: its digest does not match; the file is damaged", path);
  }
  Manifest manifest = manifest_of(parse_json(text, path)["manifest"], path);
  check_manifest(manifest, path);
  return manifest;
}

std::string write_part(const Manifest& part) { return json_text(content_of(part)); }

Manifest parse_part(const std::string& text) {
  return manifest_of(Json::parse(text), "a rank's part of the manifest");
}

}  // namespace weft
