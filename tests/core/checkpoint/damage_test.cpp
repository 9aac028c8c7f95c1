// Damaged and crafted checkpoints are refused by name, and nothing wrong is ever loaded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/manifest.h"
#include "tests/core/checkpoint/fixture.h"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Checkpoints of steps 1 and 2; the tests damage the second.
class Damage : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int64_t step : {1, 2}) {
      ASSERT_THAT(save(directory_.path(), step, flat_ranges, 3), Each(""));
    }
  }

  std::string path(const std::string& file) const { return second_ + "/" + file; }

  // That the search passes over step 2, for a reason that names all of `words`.
  void expect_passed_over(const std::vector<std::string>& words) {
    std::vector<std::string> notices;
    const auto found = find_latest(directory_.path(), notices);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->step, 1);
    ASSERT_EQ(notices.size(), 1u);
    for (const std::string& word : words) EXPECT_THAT(notices[0], HasSubstr(word));
    EXPECT_FALSE(verify_checkpoint(second_).intact());
  }

  void flip_bit(const std::string& file, size_t byte, int bit) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(byte));
    const int value = stream.get();
    stream.seekp(static_cast<std::streamoff>(byte));
    stream.put(static_cast<char>(value ^ (1 << bit)));
  }

  // Replaces the manifest by one that says otherwise and whose digest is right.
  void forge(const std::function<void(Manifest&)>& change) {
    Manifest manifest = parse_manifest(read_file(path("manifest.json")), "manifest");
    change(manifest);
    write_file(path("manifest.json"), write_manifest(manifest));
  }

  void forge_text(const std::string& from, const std::string& to) {
    std::string text = read_file(path("manifest.json"));
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    write_file(path("manifest.json"), signed_again(text.replace(at, from.size(), to)));
  }

  static std::string signed_again(std::string text) {
    const size_t at = std::string_view(R"({"weft_checkpoint": 1, "digest": ")").size();
    text.replace(at, 32, std::string(32, '0'));
    return text.replace(at, 32, to_string(digest_of(text)));
  }

  const TemporaryDirectory directory_;
  const std::string second_ = directory_.path() + "/step_00000002";
};

TEST_F(Damage, FlippedBitInDataNamesFileDatasetAndBlock) {
  const Manifest manifest = parse_manifest(read_file(path("manifest.json")), "manifest");
  const StoredTensor& tensor = manifest.tensors.at(0);
  const StoredBox& box = tensor.boxes.at(1);
  const std::string file = manifest.files[static_cast<size_t>(box.file)].name;
  flip_bit(path(file), static_cast<size_t>(box.at) + 3, 6);
  const std::string dataset = dataset_path(tensor, box);
  std::vector<std::byte> out(4096);
  const auto reader = CheckpointReader::open(second_);
  EXPECT_THAT(error_of([&] { reader.read(tensor.name, tensor.kind, box.box, out.data()); }),
              AllOf(HasSubstr(file), HasSubstr(dataset), HasSubstr("block 0 of 1")));
  // Another box of the tensor, in another block, is still good.
  const Box other = tensor.boxes.at(0).box;
  EXPECT_EQ(error_of([&] { reader.read(tensor.name, tensor.kind, other, out.data()); }), "");
  EXPECT_THAT(verify_checkpoint(second_).faults,
              ElementsAre(AllOf(HasSubstr(file), HasSubstr(dataset), HasSubstr("block 0"))));
}

TEST_F(Damage, FlippedBitInAnAttributeNamesTheFile) {
  const size_t at = read_file(path("rank_00001.h5")).find("global_shape");
  ASSERT_NE(at, std::string::npos);
  flip_bit(path("rank_00001.h5"), at + 2, 0);
  expect_passed_over({"rank_00001.h5", "attributes"});
}

TEST_F(Damage, FlippedBitInTheManifest) {
  flip_bit(path("manifest.json"), 200, 1);
  expect_passed_over({"manifest.json", "digest"});
}

TEST_F(Damage, ManifestThatIsEmptyOrSomethingElse) {
  for (const char* text : {"", "{", "{}", "[1]", "{\"weft_checkpoint\": 1, \"digest\": \""}) {
    write_file(path("manifest.json"), text);
    expect_passed_over({"manifest.json"});
  }
  std::filesystem::remove(path("manifest.json"));
  expect_passed_over({"manifest.json is missing"});
  std::filesystem::create_directory(path("manifest.json"));
  expect_passed_over({"manifest.json is not a regular file"});
}

TEST_F(Damage, SchemaOfTheFuture) {
  std::string text = read_file(path("manifest.json"));
  write_file(path("manifest.json"), text.replace(text.find(" 1,"), 3, " 2,"));
  expect_passed_over({"schema '2'", "newer weft"});
}

TEST_F(Damage, TruncatedFile) {
  const std::string bytes = read_file(path("rank_00002.h5"));
  write_file(path("rank_00002.h5"), bytes.substr(0, bytes.size() - 1));
  expect_passed_over({"rank_00002.h5", std::to_string(bytes.size() - 1)});
}

TEST_F(Damage, MissingAndAdditionalShard) {
  std::filesystem::copy(path("rank_00000.h5"), path("rank_00003.h5"));
  expect_passed_over({"rank_00003.h5 is not in the manifest"});
  std::filesystem::remove(path("rank_00003.h5"));
  std::filesystem::remove(path("rank_00000.h5"));
  expect_passed_over({"rank_00000.h5 is missing"});
}

TEST_F(Damage, ShardOfAnotherStep) {
  const std::string first = directory_.path() + "/step_00000001/rank_00001.h5";
  ASSERT_EQ(std::filesystem::file_size(first), std::filesystem::file_size(path("rank_00001.h5")));
  write_file(path("rank_00001.h5"), read_file(first));
  expect_passed_over({"rank_00001.h5", "another checkpoint"});
}

TEST_F(Damage, DirectoryOfAnotherStep) {
  std::filesystem::rename(second_, directory_.path() + "/step_00000009");
  std::vector<std::string> notices;
  EXPECT_EQ(find_latest(directory_.path(), notices)->step, 1);
  const auto both = HasSubstr("step_00000009 is called step 9 and holds step 2");
  EXPECT_THAT(notices, ElementsAre(both));
  // Named in whatever way, it is refused.
  const std::string renamed = directory_.path() + "/step_00000009";
  std::filesystem::create_directory_symlink(renamed, directory_.path() + "/best");
  for (const std::string& path :
       {renamed, renamed + "/", renamed + "/.", directory_.path() + "/best"}) {
    EXPECT_THAT(error_of([&] { CheckpointReader::open(path); }), HasSubstr("holds step 2")) << path;
    EXPECT_THAT(verify_checkpoint(path).faults, ElementsAre(HasSubstr("holds step 2"))) << path;
  }
  // Not so under a name that says no step.
  std::filesystem::rename(renamed, directory_.path() + "/milestone");
  EXPECT_EQ(CheckpointReader::open(directory_.path() + "/milestone").step(), 2);
  EXPECT_TRUE(verify_checkpoint(directory_.path() + "/milestone/").intact());
}

TEST_F(Damage, SymbolicLinksAreNotFollowed) {
  const std::string elsewhere = directory_.path() + "/elsewhere.h5";
  std::filesystem::rename(path("rank_00001.h5"), elsewhere);
  std::filesystem::create_symlink(elsewhere, path("rank_00001.h5"));
  expect_passed_over({"rank_00001.h5 is a symbolic link"});
  EXPECT_FALSE(holds(second_, 2));
  std::filesystem::rename(elsewhere, path("rank_00001.h5"));
  std::filesystem::rename(second_, directory_.path() + "/moved");
  std::filesystem::create_directory_symlink(directory_.path() + "/moved", second_);
  std::vector<std::string> notices;
  EXPECT_EQ(find_latest(directory_.path(), notices)->step, 1);
  EXPECT_THAT(notices, ElementsAre(HasSubstr("symbolic link")));
}

TEST_F(Damage, FileNamesThatLeadElsewhere) {
  const std::string intact = read_file(path("manifest.json"));
  for (const std::string& name :
       {std::string("/etc/passwd"), std::string("../rank_00000.h5"), std::string("a/rank_00000.h5"),
        std::string(".."), std::string(), std::string("rank_0000x.h5"),
        std::string("rank_00000\0.h5", 14)}) {
    write_file(path("manifest.json"), intact);
    forge([&](Manifest& manifest) { manifest.files[0].name = name; });
    expect_passed_over({"no legal file name", name.substr(0, name.find('\0'))});
    write_file(path("manifest.json"), intact);
    forge([&](Manifest& manifest) { manifest.attached.push_back({name + "/x", 0, {}}); });
    expect_passed_over({"no legal file name"});
  }
}

TEST_F(Damage, ManifestsThatContradictThemselves) {
  const std::string intact = read_file(path("manifest.json"));
  const auto refused = [&](const std::string& word, const std::function<void(Manifest&)>& change) {
    write_file(path("manifest.json"), intact);
    Manifest manifest = parse_manifest(intact, "manifest");
    change(manifest);
    write_file(path("manifest.json"), write_manifest(manifest));
    expect_passed_over({"manifest.json", word});
  };
  refused("overlap", [](Manifest& m) { m.tensors[0].boxes.push_back(m.tensors[0].boxes[0]); });
  refused("in no box", [](Manifest& m) { m.tensors[0].boxes.pop_back(); });
  refused("lie within", [](Manifest& m) { m.tensors[0].boxes[0].box.offset[0] += 100; });
  refused("leave rank_", [](Manifest& m) { m.tensors[0].boxes[0].at = int64_t{1} << 62; });
  refused("file index 7", [](Manifest& m) { m.tensors[0].boxes[0].file = 7; });
  refused("block digests", [](Manifest& m) { m.tensors[0].boxes[0].blocks.emplace_back(); });
  refused("share byte", [](Manifest& m) { m.tensors[1].boxes[0].at = m.tensors[0].boxes[0].at; });
  refused("listed twice", [](Manifest& m) { m.tensors.push_back(m.tensors[0]); });
  refused("listed twice", [](Manifest& m) { m.files[1].name = m.files[0].name; });
  refused("no legal tensor name", [](Manifest& m) { m.tensors[0].name = "../x"; });
  refused("too large", [](Manifest& m) {
    m.tensors[0].shape = {int64_t{1} << 40, int64_t{1} << 40};
  });
}

TEST_F(Damage, ManifestsThatAreNotWhatWeWrite) {
  const std::string intact = read_file(path("manifest.json"));
  const auto refused = [&](const std::string& from, const std::string& to,
                           const std::string& word) {
    write_file(path("manifest.json"), intact);
    forge_text(from, to);
    expect_passed_over({"manifest.json", word});
  };
  refused("\"step\":2,", "\"step\":2,\"step\":2,", "'step' is there twice");
  refused("\"step\":2,", "\"step\":2,\"extra\":0,", "unknown key 'extra'");
  refused("\"step\":2,", "", "lacks 'step'");
  refused("\"step\":2,", "\"step\":-2,", "not a natural number");
  refused("\"step\":2,", "\"step\":1e300,", "not a natural number");
  refused("\"step\":2,", "\"step\":9223372036854775808,", "not a natural number");
  refused("\"dtype\":\"f32\"", "\"dtype\":\"f33\"", "f33");
  refused("\"dtype\":\"f32\"", "\"dtype\":\"f64\"", "");
  refused("\"blocks\":[\"", "\"blocks\":[\"g", "not a digest");
  refused("\"run_state\":{", "\"run_state\":[{", "");
  refused("\"shape\":[", "\"shape\":[1,1,1,1,1,", "more than 5 dims");
  refused(
      "\"run_state\":{",
      "\"run_state\":{\"a\":" + std::string(100'000, '[') + "1" + std::string(100'000, ']') + ",",
      "nested");
}

TEST_F(Damage, RandomManifestTextIsReadOrRefused) {
  const std::string intact = read_file(path("manifest.json"));
  std::mt19937_64 random(11);
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string text = intact;
    for (uint64_t n = random() % 4; n < 4; ++n) {
      const size_t at = 66 + random() % (text.size() - 66);  // behind the digest
      switch (random() % 3) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, 1 + random() % 8);
          break;
        default:
          text.insert(at, text.substr(66 + random() % (text.size() - 66), random() % 40));
      }
      if (text.size() < 200) break;
    }
    refused += !error_of([&] { parse_manifest(signed_again(text), "m"); }).empty();
  }
  EXPECT_GT(refused, 2000);
}

// The files of the second checkpoint, each as often as it has bytes.
struct Position {
  std::string file;
  size_t byte;
};
Position random_position(const std::vector<std::string>& files, std::mt19937_64& random) {
  size_t total = 0;
  for (const std::string& file : files) total += std::filesystem::file_size(file);
  size_t at = random() % total;
  for (const std::string& file : files) {
    const size_t bytes = std::filesystem::file_size(file);
    if (at < bytes) return {file, at};
    at -= bytes;
  }
  return {};
}

TEST_F(Damage, EveryFlippedBitIsFoundAndNothingWrongIsLoaded) {
  const std::vector<std::string> files{path("manifest.json"), path("rank_00000.h5"),
                                       path("rank_00001.h5"), path("rank_00002.h5")};
  std::mt19937_64 random(5);
  for (int i = 0; i < 1000; ++i) {
    const Position position = random_position(files, random);
    const int bit = static_cast<int>(random() % 8);
    SCOPED_TRACE(position.file + " byte " + std::to_string(position.byte));
    flip_bit(position.file, position.byte, bit);
    const VerifyReport report = verify_checkpoint(second_);
    ASSERT_FALSE(report.intact());
    EXPECT_THAT(report.faults,
                Contains(HasSubstr(std::filesystem::path(position.file).filename().string())));
    // The search finds what lies outside the data; loading finds what lies in it.
    std::vector<std::string> notices;
    const bool passed_over = find_latest(directory_.path(), notices)->step == 1;
    ASSERT_TRUE(passed_over || !holds(second_, 2));
    flip_bit(position.file, position.byte, bit);
  }
  EXPECT_TRUE(holds(second_, 2));
}

TEST_F(Damage, EveryTruncationIsFoundBeforeLoading) {
  const std::vector<std::string> files{path("manifest.json"), path("rank_00000.h5"),
                                       path("rank_00001.h5"), path("rank_00002.h5")};
  std::mt19937_64 random(6);
  for (int i = 0; i < 200; ++i) {
    const Position position = random_position(files, random);
    const std::string bytes = read_file(position.file);
    std::filesystem::resize_file(position.file, position.byte);
    expect_passed_over({std::filesystem::path(position.file).filename().string()});
    write_file(position.file, bytes);
  }
  EXPECT_TRUE(holds(second_, 2));
}

}  // namespace
}  // namespace weft
