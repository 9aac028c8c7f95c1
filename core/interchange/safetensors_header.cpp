// The JSON header of a safetensors file, read event by event so that no tree is built of it.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <numeric>
#include <unordered_set>

#include "core/base/error.h"
#include "core/base/strict_json.h"
#include "core/interchange/safetensors.h"

namespace weft {
namespace {

struct Type {
  std::string_view name;
  int bits;
  std::optional<DType> dtype;
};

constexpr std::array<Type, 22> kTypes{
    {{"BOOL", 8, {}},         {"F4", 4, {}},           {"F6_E2M3", 6, {}},
     {"F6_E3M2", 6, {}},      {"U8", 8, DType::u8},    {"I8", 8, {}},
     {"F8_E5M2", 8, {}},      {"F8_E4M3", 8, {}},      {"F8_E8M0", 8, {}},
     {"F8_E4M3FNUZ", 8, {}},  {"F8_E5M2FNUZ", 8, {}},  {"I16", 16, {}},
     {"U16", 16, DType::u16}, {"F16", 16, DType::f16}, {"BF16", 16, DType::bf16},
     {"I32", 32, DType::i32}, {"U32", 32, {}},         {"F32", 32, DType::f32},
     {"C64", 64, {}},         {"I64", 64, DType::i64}, {"U64", 64, {}},
     {"F64", 64, DType::f64}}};

const Type* find_type(std::string_view name) {
  const auto found = std::find_if(kTypes.begin(), kTypes.end(),
                                  [name](const Type& type) { return type.name == name; });
  return found == kTypes.end() || name.empty() ? nullptr : &*found;
}

// Takes the events of the parser. What is open decides what may come next:
//   {"__metadata__": {KEY: TEXT, ...}, NAME: {"dtype": TEXT, "shape": [N...], "data_offsets": [N,
//   N]}}
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(const std::string& path) : path_(path) {}

  SafetensorsHeader take() { return std::move(header_); }

  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("a boolean"); }
  bool number_integer(number_integer_t) override { unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    unexpected("a number that is not an integer of 63 bits");
  }
  bool binary(binary_t&) override { unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    constexpr auto kLargest = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    if (!in_list_ || value > kLargest) unexpected("a number");
    list_.push_back(static_cast<int64_t>(value));
    return true;
  }

  bool string(string_t& text) override {
    if (depth_ == 2 && !in_list_ && metadata_) {
      header_.metadata.emplace(key_, text);
    } else if (depth_ == 2 && !in_list_ && key_ == "dtype") {
      entry().type = text;
    } else {
      unexpected("a text");
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (depth_ == 2 || in_list_) unexpected("an object");
    if (++depth_ == 1) return true;
    metadata_ = key_ == "__metadata__";
    if (!metadata_) {
      header_.tensors.emplace_back();
      entry().name = key_;
    }
    keys_.clear();
    return true;
  }

  bool key(string_t& name) override {
    if (!(depth_ == 1 ? names_ : keys_).insert(name).second) {
      fail(ErrorKind::input, "{}: {}'{}' is there twice", path_, where(), printable(name));
    }
    if (depth_ == 2 && !metadata_ && name != "dtype" && name != "shape" && name != "data_offsets") {
      fail(ErrorKind::input, "{}: {}has an unknown key '{}'", path_, where(), printable(name));
    }
    key_ = name;
    return true;
  }

  bool end_object() override {
    if (depth_-- == 2 && !metadata_ && keys_.size() != 3) {
      fail(ErrorKind::input, "{}: tensor '{}' lacks dtype, shape or data_offsets", path_,
           printable(entry().name));
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_list_ || metadata_ || key_ == "dtype") unexpected("a list");
    in_list_ = true;
    list_.clear();
    return true;
  }

  bool end_array() override {
    in_list_ = false;
    if (key_ == "shape") {
      entry().shape = list_;
    } else if (list_.size() != 2) {
      fail(ErrorKind::input, "{}: {}data_offsets has {} numbers, not 2", path_, where(),
           list_.size());
    } else {
      entry().begin = list_[0];
      entry().end = list_[1];
    }
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& e) override {
    fail(ErrorKind::input, "{}: the header is not JSON: {}", path_, printable(e.what()));
  }

 private:
  SafetensorsEntry& entry() { return header_.tensors.back(); }

  std::string where() const {
    if (depth_ < 2) return "";
    if (metadata_) return "__metadata__: ";
    return fmt::format("tensor '{}': ", printable(header_.tensors.back().name));
  }

  [[noreturn]] void unexpected(const char* what) const {
    fail(ErrorKind::input, "{}: {}'{}': {} is not what belongs there", path_, where(),
         printable(key_), what);
  }

  const std::string& path_;
  SafetensorsHeader header_;
  int depth_ = 0;          // of objects
  bool metadata_ = false;  // the object of depth 2 is __metadata__
  bool in_list_ = false;
  std::string key_;
  std::unordered_set<std::string> names_, keys_;  // seen at depth 1 and 2
  std::vector<int64_t> list_;
};

// Bytes of type and shape; nothing when they do not fit 63 bits or are no whole number of bytes.
std::optional<int64_t> bytes_of(const SafetensorsEntry& entry, int bits) {
  int64_t total = bits;
  for (const int64_t extent : entry.shape) {
    if (__builtin_mul_overflow(total, extent, &total)) return std::nullopt;
  }
  if (total % 8 != 0) return std::nullopt;
  return total / 8;
}

void check_size(SafetensorsEntry& entry, const std::string& path) {
  const Type* type = find_type(entry.type);
  if (type == nullptr) {
    fail(ErrorKind::input, "{}: tensor '{}' has an unknown dtype '{}'", path, printable(entry.name),
         printable(entry.type));
  }
  entry.dtype = type->dtype;
  const std::optional<int64_t> bytes = bytes_of(entry, type->bits);
  if (!bytes) {
    fail(ErrorKind::input, "{}: tensor '{}' has a shape that no file can hold", path,
         printable(entry.name));
  }
  if (entry.begin > entry.end || entry.end - entry.begin != *bytes) {
    fail(ErrorKind::input,
         "{}: tensor '{}' is {} bytes by its dtype and shape, but its data_offsets are [{}, {}]",
         path, printable(entry.name), *bytes, entry.begin, entry.end);
  }
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view json, int64_t data_bytes,
                                           const std::string& path) {
  if (!json.starts_with('{')) {
    fail(ErrorKind::input, "{}: the header does not begin with '{{'; is this a safetensors file?",
         path);
  }
  HeaderReader reader(path);
  nlohmann::json::sax_parse(json, &reader);
  SafetensorsHeader header = reader.take();
  for (SafetensorsEntry& entry : header.tensors) check_size(entry, path);
  std::stable_sort(header.tensors.begin(), header.tensors.end(),
                   [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
                     return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
                   });
  int64_t at = 0;
  for (const SafetensorsEntry& entry : header.tensors) {
    if (entry.begin != at) {
      fail(ErrorKind::input, "{}: tensor '{}' begins at byte {} of the data, {} byte {}", path,
           printable(entry.name), entry.begin,
           entry.begin < at ? "inside the one before, which ends at" : "after a gap from", at);
    }
    at = entry.end;
  }
  if (at != data_bytes) {
    fail(ErrorKind::input, "{}: the tensors end at byte {} of the data, the file has {}{}", path,
         at, data_bytes, at > data_bytes ? "; it has been cut short" : "");
  }
  return header;
}

}  // namespace weft
