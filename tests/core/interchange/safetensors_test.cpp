#include "core/interchange/safetensors.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "core/base/error.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input) << error.what();
    return error.what();
  }
  return "";
}

std::string refusal(const std::string& json, int64_t data_bytes) {
  return error_of([&] { parse_safetensors_header(json, data_bytes, "f"); });
}

TEST(SafetensorsHeader, ReadsTypesShapesAndMetadataInTheOrderOfTheData) {
  const SafetensorsHeader h = parse_safetensors_header(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[3],"data_offsets":[8,14]},)"
      R"("a":{"shape":[2,1],"dtype":"F32","data_offsets":[0,8]},)"
      R"("none":{"dtype":"F64","shape":[0,7],"data_offsets":[14,14]},)"
      R"("one":{"dtype":"F8_E4M3","shape":[],"data_offsets":[14,15]}}     )",
      15, "f");
  EXPECT_EQ(h.metadata.at("format"), "pt");
  ASSERT_EQ(h.tensors.size(), 4u);
  EXPECT_EQ(h.tensors[0].name, "a");
  EXPECT_THAT(h.tensors[0].shape, ElementsAre(2, 1));
  EXPECT_EQ(h.tensors[0].dtype, DType::f32);
  EXPECT_EQ(h.tensors[1].dtype, DType::bf16);
  EXPECT_EQ(h.tensors[2].bytes(), 0u);
  EXPECT_EQ(h.tensors[3].type, "F8_E4M3");
  EXPECT_FALSE(h.tensors[3].dtype);
  EXPECT_TRUE(parse_safetensors_header("{}", 0, "f").tensors.empty());
}

// One tensor "a" of these fields.
std::string one(const std::string& fields) { return R"({"a":{)" + fields + "}}"; }

struct Attack {
  const char* name;
  std::string json;  // of a file with 8 bytes of data
  const char* message;
};

void PrintTo(const Attack& attack, std::ostream* out) { *out << attack.name; }

class SafetensorsAttack : public ::testing::TestWithParam<Attack> {};

TEST_P(SafetensorsAttack, IsRefusedInOneClearLine) {
  const std::string message = refusal(GetParam().json, 8);
  EXPECT_THAT(message, HasSubstr(GetParam().message));
  EXPECT_THAT(message, ::testing::StartsWith("f: "));
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_LT(message.size(), 400u);
}

const char kF32[] = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";

const Attack kAttacks[] = {
    {"Empty", "", "does not begin with '{'"},
    {"LeadingSpace", " {}", "does not begin with '{'"},
    {"NotJson", "{\"a\"", "is not JSON"},
    {"NotUtf8", "{\"\xff\":1}", "is not JSON"},
    {"TextBehind", one(kF32) + "x", "is not JSON"},
    {"TensorThatIsNone", R"({"a":1})", "'a': a number"},
    {"TensorThatIsAList", R"({"a":[1]})", "'a': a list"},
    {"TensorThatIsNull", R"({"a":null})", "'a': null"},
    {"NestedObject", R"({"a":{"dtype":{}}})", "tensor 'a': 'dtype': an object"},
    {"NestedList", R"({"a":{"shape":[[1]]}})", "tensor 'a': 'shape': a list"},
    {"DeepNesting", one(R"("shape":)" + std::string(100000, '[')), "a list"},
    {"TensorTwice", std::string("{\"a\":{") + kF32 + "},\"a\":{" + kF32 + "}}",
     "'a' is there twice"},
    {"KeyTwice", one(R"("dtype":"F32","dtype":"F32")"), "tensor 'a': 'dtype' is there twice"},
    {"MetadataTwice", R"({"__metadata__":{},"__metadata__":{}})", "'__metadata__' is there twice"},
    {"MetadataKeyTwice", R"({"__metadata__":{"k":"1","k":"2"}})", "'k' is there twice"},
    {"MetadataThatIsNoText", R"({"__metadata__":{"k":1}})", "__metadata__: 'k': a number"},
    {"UnknownKey", one(R"("dtype":"F32","shape":[2],"offsets":[0,8])"), "unknown key 'offsets'"},
    {"NoType", one(R"("shape":[2],"data_offsets":[0,8])"), "lacks dtype"},
    {"NoOffsets", one(R"("dtype":"F32","shape":[2])"), "lacks dtype"},
    {"UnknownType", one(R"("dtype":"F99","shape":[2],"data_offsets":[0,8])"),
     "unknown dtype 'F99'"},
    {"EmptyType", one(R"("dtype":"","shape":[2],"data_offsets":[0,8])"), "unknown dtype ''"},
    {"TypeOfNumbers", one(R"("dtype":4,"shape":[2],"data_offsets":[0,8])"), "'dtype': a number"},
    {"NegativeExtent", one(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"),
     "'shape': a negative number"},
    {"FractionalExtent", one(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])"),
     "not an integer"},
    {"ExtentOf64Bits", one(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8])"),
     "'shape': a number"},
    {"ExtentOf70Bits",
     one(R"("dtype":"F32","shape":[1180591620717411303424],"data_offsets":[0,8])"),
     "not an integer of 63 bits"},
    {"ProductThatOverflows",
     one(R"("dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,8])"),
     "a shape that no file can hold"},
    {"ProductThatWrapsToTheSize",
     one(R"("dtype":"F32","shape":[4611686018427387905,2],"data_offsets":[0,8])"),
     "a shape that no file can hold"},
    {"HalfAByte", one(R"("dtype":"F4","shape":[3],"data_offsets":[0,8])"),
     "a shape that no file can hold"},
    {"OneOffset", one(R"("dtype":"F32","shape":[2],"data_offsets":[8])"), "has 1 numbers, not 2"},
    {"ThreeOffsets", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8,8])"),
     "has 3 numbers, not 2"},
    {"OffsetsBackwards", one(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"),
     "data_offsets are [8, 0]"},
    {"SizeThatIsNotTheShapes", one(R"("dtype":"F32","shape":[1],"data_offsets":[0,8])"),
     "is 4 bytes by its dtype and shape"},
    {"GapAtTheStart", one(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"),
     "begins at byte 4 of the data, after a gap from byte 0"},
    {"GapBetween",
     R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
     R"("b":{"dtype":"U8","shape":[5],"data_offsets":[3,8]}})",
     "after a gap from byte 2"},
    {"Overlap",
     R"({"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},)"
     R"("b":{"dtype":"U8","shape":[5],"data_offsets":[3,8]}})",
     "inside the one before, which ends at byte 5"},
    {"ManyOnOneRange",
     R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
     R"("b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
     "inside the one before"},
    {"DataBehindTheLast", one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"),
     "end at byte 4 of the data, the file has 8"},
    {"DataCutShort", one(R"("dtype":"F32","shape":[4],"data_offsets":[0,16])"),
     "the file has 8; it has been cut short"},
    {"NameOfControlCharacters",
     "{\"\\u001b[2J\\n\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", "'?[2J?'"},
};

INSTANTIATE_TEST_SUITE_P(Header, SafetensorsAttack, ::testing::ValuesIn(kAttacks),
                         [](const auto& attack) { return std::string(attack.param.name); });

// An empty directory for the files of one test.
class SafetensorsFiles : public ::testing::Test {
 protected:
  SafetensorsFiles() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    root_ = ::testing::TempDir() + std::to_string(::getpid()) + test->name();
    std::filesystem::create_directories(root_);
  }
  ~SafetensorsFiles() override { std::filesystem::remove_all(root_); }

  std::string path(const std::string& name) const { return root_ + "/" + name; }
  std::string put(const std::string& name, const std::string& bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }
  // A file with one tensor of the values 1 2 3 ...
  std::string put_tensor(const std::string& file, const std::string& tensor, int64_t count) const {
    write_safetensors(path(file), {{tensor, DType::f32, {count}}},
                      [](const SafetensorsTensor&, std::span<std::byte> out) {
                        std::vector<float> values(out.size() / sizeof(float));
                        std::iota(values.begin(), values.end(), 1.0f);
                        std::memcpy(out.data(), values.data(), out.size());
                      });
    return path(file);
  }
  static std::vector<float> values(const SafetensorsModel& model, const std::string& name) {
    const SafetensorsEntry* entry = model.find(name);
    if (entry == nullptr) return {};
    std::vector<float> result(entry->bytes() / sizeof(float));
    model.read(*entry, std::as_writable_bytes(std::span(result)));
    return result;
  }
  static std::string head(uint64_t length, const std::string& json) {
    std::string bytes(sizeof(length), '\0');
    std::memcpy(bytes.data(), &length, sizeof(length));
    return bytes + json;
  }
  std::string refusal_of(const std::string& p) const {
    return error_of([&] { SafetensorsModel::open(p); });
  }

 private:
  std::string root_;
};

TEST_F(SafetensorsFiles, HoldWhatWasWritten) {
  const auto model = SafetensorsModel::open(put_tensor("t.safetensors", "t", 3));
  EXPECT_THAT(values(model, "t"), ElementsAre(1, 2, 3));
  EXPECT_EQ(model.find("u"), nullptr);
}

TEST_F(SafetensorsFiles, AreWrittenAsTheFormatWants) {
  std::vector<SafetensorsTensor> tensors{{"b", DType::f32, {1}},
                                         {"c", DType::f64, {1}},
                                         {"a", DType::f32, {2, 1}},
                                         {"d", DType::bf16, {1}}};
  sort_for_safetensors(tensors);
  const std::string text = safetensors_head(tensors);
  uint64_t length = 0;
  std::memcpy(&length, text.data(), sizeof(length));
  EXPECT_EQ(length + 8, text.size());
  EXPECT_EQ(length % 8, 0u);
  EXPECT_EQ(
      text.substr(8, text.find_last_not_of(' ') - 7),
      R"({"__metadata__":{"format":"pt"},"c":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},)"
      R"("a":{"dtype":"F32","shape":[2,1],"data_offsets":[8,16]},)"
      R"("b":{"dtype":"F32","shape":[1],"data_offsets":[16,20]},)"
      R"("d":{"dtype":"BF16","shape":[1],"data_offsets":[20,22]}})");
}

TEST_F(SafetensorsFiles, NeedNoAlignment) {
  const std::string json = R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                           R"("t":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})";
  const float value = 2.5f;
  std::string bytes = head(json.size(), json) + "x" + std::string(sizeof(value), '\0');
  std::memcpy(bytes.data() + bytes.size() - sizeof(value), &value, sizeof(value));
  EXPECT_THAT(values(SafetensorsModel::open(put("odd.safetensors", bytes)), "t"),
              ElementsAre(2.5f));
}

TEST_F(SafetensorsFiles, WithLyingLengthsAreRefused) {
  EXPECT_THAT(refusal_of(put("a", "1234567")), HasSubstr("7 bytes are no safetensors file"));
  EXPECT_THAT(refusal_of(put("b", head(~uint64_t{0}, "{}"))),
              HasSubstr("longer than the 100000000"));
  EXPECT_THAT(refusal_of(put("c", head(100'000'001, "{}"))), HasSubstr("longer than"));
  EXPECT_THAT(refusal_of(put("d", head(3, "{}"))), HasSubstr("in a file of 10; it has been cut"));
  EXPECT_THAT(refusal_of(put("e", head(0, "{}"))), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(refusal_of(path("none")), HasSubstr("check the path"));
}

TEST_F(SafetensorsFiles, MayBeSeveralWithAnIndex) {
  put_tensor("one.safetensors", "a", 2);
  put_tensor("two.safetensors", "b", 3);
  put("model.safetensors.index.json",
      R"({"metadata":{},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  const auto model = SafetensorsModel::open(path("."));
  EXPECT_THAT(values(model, "a"), ElementsAre(1, 2));
  EXPECT_THAT(values(model, "b"), ElementsAre(1, 2, 3));
}

TEST_F(SafetensorsFiles, OfAnIndexThatLiesAreRefused) {
  put_tensor("one.safetensors", "a", 2);
  put_tensor("two.safetensors", "b", 2);
  put_tensor("again.safetensors", "a", 2);
  const auto with = [&](const std::string& map) {
    return refusal_of(put("i.json", R"({"weight_map":{)" + map + "}}"));
  };
  EXPECT_THAT(with(R"("a":"one.safetensors","c":"two.safetensors")"),
              HasSubstr("holds tensor 'b', which"));
  EXPECT_THAT(with(R"("a":"two.safetensors","b":"one.safetensors")"),
              HasSubstr("lists in another file"));
  EXPECT_THAT(with(R"("a":"one.safetensors","x":"one.safetensors")"),
              HasSubstr("lists tensor 'x' in one.safetensors, which does not hold it"));
  EXPECT_THAT(with(R"("a":"one.safetensors","b":"again.safetensors")"), HasSubstr("another file"));
  EXPECT_THAT(with(R"("a":"none.safetensors")"), HasSubstr("No such file"));
  EXPECT_THAT(with(""), HasSubstr("no weight_map"));
  EXPECT_THAT(with(R"("a":"one.safetensors","a":"one.safetensors")"), HasSubstr("there twice"));
  for (const char* file : {"/etc/passwd", "../one.safetensors", "..", "", "x/one.safetensors",
                           "one\\u0000.safetensors"}) {
    EXPECT_THAT(with(std::string("\"a\":\"") + file + "\""), HasSubstr("no name of a file beside"));
  }
  std::filesystem::create_directory(path("folder.safetensors"));
  EXPECT_THAT(with(R"("a":"folder.safetensors")"), HasSubstr("is a directory"));
  ASSERT_EQ(mkfifo(path("pipe.safetensors").c_str(), 0600), 0);
  EXPECT_THAT(with(R"("a":"pipe.safetensors")"), HasSubstr("no regular file"));
}

// As caches of downloads keep them.
TEST_F(SafetensorsFiles, MayBeLinks) {
  std::filesystem::create_directory(path("blobs"));
  put_tensor("blobs/1", "a", 2);
  std::filesystem::create_symlink("blobs/1", path("one.safetensors"));
  std::filesystem::create_symlink("blobs/1", path("model.safetensors"));
  EXPECT_EQ(refusal_of(path("one.safetensors")), "");
  EXPECT_EQ(refusal_of(path(".")), "");
  put("blobs/2", R"({"weight_map":{"a":"one.safetensors"}})");
  std::filesystem::create_symlink("blobs/2", path("model.safetensors.index.json"));
  EXPECT_EQ(refusal_of(path(".")), "");
}

}  // namespace
}  // namespace weft
