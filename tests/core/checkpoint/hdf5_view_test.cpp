// What other HDF5 readers see in a shard file, and files crafted to mislead them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/files.h"
#include "core/checkpoint/h5.h"
#include "core/checkpoint/manifest.h"
#include "core/checkpoint/shard_file.h"
#include "tests/core/checkpoint/fixture.h"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;

constexpr char kDataset[] = "/tensors/wte.weight/weight/box_0";

class CraftedFile : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_THAT(save(directory_.path(), 1, by_rows, 1), Each("")); }

  // Changes the shard file through libhdf5 and then the manifest, so that every digest holds.
  void craft(const std::function<void(hid_t file)>& change) {
    {
      const h5::Session session;
      const h5::Id file(H5Fopen(shard_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), "open");
      change(file);
    }
    Manifest manifest = parse_manifest(read_file(path_ + "/manifest.json"), "manifest");
    const FileDescriptor directory = open_directory(path_);
    const FileDescriptor file = open_regular(directory, "rank_00000.h5", shard_);
    manifest.files[0].bytes = file_size(file, shard_);
    const auto read = [&](int64_t at, std::span<std::byte> out) { read_at(file, at, out, shard_); };
    manifest.files[0].digest =
        metadata_digest(read, manifest.files[0].bytes, extents_of_file(manifest, 0));
    write_file(path_ + "/manifest.json", write_manifest(manifest));
  }

  void expect_fault(const std::string& what) {
    EXPECT_THAT(verify_checkpoint(path_).faults,
                Contains(AllOf(HasSubstr("rank_00000.h5"), HasSubstr(what))));
  }

  // Puts another dataset in the place of kDataset.
  static void replace(hid_t file, hid_t type, const Shape& shape, hid_t creation = H5P_DEFAULT) {
    h5::check(H5Ldelete(file, kDataset, H5P_DEFAULT), "delete");
    const h5::Id made(H5Dcreate2(file, kDataset, type, h5::simple_space(shape), H5P_DEFAULT,
                                 creation, H5P_DEFAULT),
                      "create");
  }

  const TemporaryDirectory directory_;
  const std::string path_ = directory_.path() + "/step_00000001";
  const std::string shard_ = path_ + "/rank_00000.h5";
};

TEST_F(CraftedFile, ExternalLinkIsNamedAndNotFollowed) {
  craft([](hid_t file) {
    h5::check(H5Ldelete(file, kDataset, H5P_DEFAULT), "delete");
    h5::check(H5Lcreate_external("/etc/hostname", "/x", file, kDataset, H5P_DEFAULT, H5P_DEFAULT),
              "link");
  });
  expect_fault(std::string(kDataset) + " is missing or is a link");
}

TEST_F(CraftedFile, SoftLinkedGroupIsNamed) {
  craft([](hid_t file) {
    h5::check(
        H5Lmove(file, "/tensors/wte.weight", file, "/tensors/aside", H5P_DEFAULT, H5P_DEFAULT),
        "move");
    h5::check(
        H5Lcreate_soft("/tensors/aside", file, "/tensors/wte.weight", H5P_DEFAULT, H5P_DEFAULT),
        "link");
  });
  expect_fault(std::string(kDataset) + " is missing or is a link");
}

TEST_F(CraftedFile, ExternalStorageIsNamed) {
  craft([](hid_t file) {
    const h5::Id creation(H5Pcreate(H5P_DATASET_CREATE), "create");
    h5::check(H5Pset_external(creation, "/etc/hostname", 0, 17 * 8 * 4), "external");
    replace(file, H5T_IEEE_F32LE, {17, 8}, creation);
  });
  expect_fault(std::string(kDataset) + ": its data lies in another file");
}

TEST_F(CraftedFile, WrongTypeShapeLayoutPlaceAndAttributes) {
  craft([](hid_t file) { replace(file, H5T_STD_I32LE, {8, 17}); });
  expect_fault(std::string(kDataset) + ": its type is not f32");
  expect_fault(std::string(kDataset) + ": its shape is not [17, 8]");
  expect_fault(std::string(kDataset) + ": its data does not begin at byte");
  expect_fault(std::string(kDataset) + ": attribute dtype differs");
  craft([](hid_t file) {
    const h5::Id creation(H5Pcreate(H5P_DATASET_CREATE), "create");
    const hsize_t chunk[2] = {17, 8};
    h5::check(H5Pset_chunk(creation, 2, chunk), "chunk");
    h5::check(H5Pset_deflate(creation, 1), "deflate");
    replace(file, H5T_IEEE_F32LE, {17, 8}, creation);
  });
  expect_fault(std::string(kDataset) + ": it is not contiguous");
  expect_fault(std::string(kDataset) + ": it has filters");
}

TEST_F(CraftedFile, AdditionalDatasetIsCounted) {
  craft([](hid_t file) {
    const h5::Id made(H5Dcreate2(file, "/more", H5T_IEEE_F32LE, h5::simple_space({2}), H5P_DEFAULT,
                                 H5P_DEFAULT, H5P_DEFAULT),
                      "create");
  });
  expect_fault("9 datasets, the manifest lists 8");
}

// The example of docs/checkpoint_format.md, as it stands there.
std::string documented_example() {
  const std::string text = read_file(std::string(WEFT_SOURCE_DIR) + "/docs/checkpoint_format.md");
  const std::string begin = "```python\n";
  const size_t first = text.find(begin) + begin.size();
  return text.substr(first, text.find("```", first) - first);
}

class DocumentedExample : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0) {
      GTEST_SKIP() << "/usr/bin/python3 has no h5py (package python3-h5py)";
    }
    ASSERT_THAT(save(directory_.path(), 1, flat_ranges, 3), Each(""));
    write_file(directory_.path() + "/example.py", documented_example());
  }

  // The tensors as numpy has them in memory, by way of the example.
  std::vector<std::string> load(const std::vector<TestTensor>& tensors) {
    std::string command =
        fmt::format("cd {} && /usr/bin/python3 -B -c \"import example\n", directory_.path());
    for (size_t i = 0; i < tensors.size(); ++i) {
      command += fmt::format("example.load('step_00000001', '{}', '{}').tofile('out{}')\n",
                             tensors[i].name, tensors[i].kind, i);
    }
    EXPECT_EQ(std::system((command + "\"").c_str()), 0);
    std::vector<std::string> result;
    for (size_t i = 0; i < tensors.size(); ++i) {
      result.push_back(read_file(fmt::format("{}/out{}", directory_.path(), i)));
    }
    return result;
  }

  const TemporaryDirectory directory_;
};

TEST_F(DocumentedExample, LoadsWholeTensors) {
  std::vector<TestTensor> tensors = test_tensors();
  std::erase_if(tensors, [](const TestTensor& tensor) { return tensor.dtype == DType::bf16; });
  const std::vector<std::string> got = load(tensors);
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::vector<std::byte> bytes = content(tensors[i], 1, whole(tensors[i].shape));
    EXPECT_EQ(got[i], std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()))
        << tensors[i].name << " " << tensors[i].kind;
  }
}

TEST_F(DocumentedExample, LoadsBf16AsF32) {
  const TestTensor tensor = test_tensors()[2];
  ASSERT_EQ(tensor.dtype, DType::bf16);
  const std::vector<std::byte> bytes = content(tensor, 1, whole(tensor.shape));
  const std::string got = load({tensor})[0];
  ASSERT_EQ(got.size(), 2 * bytes.size());
  for (size_t i = 0; i < bytes.size() / 2; ++i) {
    uint32_t bits = 0;
    std::memcpy(reinterpret_cast<char*>(&bits) + 2, bytes.data() + 2 * i, 2);
    float expected = 0, value = 0;
    std::memcpy(&expected, &bits, 4);
    std::memcpy(&value, got.data() + 4 * i, 4);
    EXPECT_TRUE(value == expected || (std::isnan(value) && std::isnan(expected))) << i;
  }
}

}  // namespace
}  // namespace weft
