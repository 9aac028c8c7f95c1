#include "tests/core/checkpoint/fixture.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/backends/backends.h"
#include "core/base/error.h"
#include "core/base/philox.h"
#include "tests/core/checkpoint/fake_ranks.h"

namespace weft {
namespace {

std::pair<int64_t, int64_t> share(int64_t count, int rank, int ranks) {
  return {count * rank / ranks, count * (rank + 1) / ranks};
}

std::vector<Box> by_dim(const Shape& shape, int dim, int rank, int ranks) {
  if (shape.rank() == 0) return rank == 0 ? std::vector<Box>{{{}, {}}} : std::vector<Box>{};
  Box box = whole(shape);
  const auto [first, end] = share(shape[dim], rank, ranks);
  box.offset[dim] = first;
  box.extent[dim] = end - first;
  return {box};
}

// The pieces of a 2-d tensor that hold elements [first, end) of its row-major order.
std::vector<Box> boxes_of_range(const Shape& shape, int64_t first, int64_t end) {
  const int64_t width = shape[1];
  std::vector<Box> boxes;
  while (first < end) {
    const int64_t row = first / width, column = first % width;
    const bool rows = column == 0 && end - first >= width;
    const int64_t count =
        rows ? (end - first) / width * width : std::min(width - column, end - first);
    boxes.push_back({{row, column}, {rows ? count / width : 1, rows ? width : count}});
    first += count;
  }
  return boxes;
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  path_ = ::testing::TempDir() + "weft-ckpt-" + std::to_string(::getpid()) + "-" + test->name();
  std::filesystem::remove_all(path_);
  std::filesystem::create_directories(path_);
}

TemporaryDirectory::~TemporaryDirectory() { std::filesystem::remove_all(path_); }

std::vector<TestTensor> test_tensors() {
  return {
      {"wte.weight", "weight", {17, 8}, DType::f32},
      {"wte.weight", "exp_avg", {17, 8}, DType::f32},
      {"h.0.attn.q.weight", "weight", {12, 6}, DType::bf16},
      {"h.0.attn.q.weight", "master", {12, 6}, DType::f64},
      {"h.0.ln_1.weight", "weight", {5}, DType::f16},
      {"cube", "weight", {3, 4, 5}, DType::f32},
      {"scale", "weight", {}, DType::f32},
      {"cursor", "weight", {3}, DType::i64},
  };
}

std::vector<std::byte> content(const TestTensor& tensor, int64_t step, const Box& box) {
  const RandomKey key{7, stream_of(tensor.name + "/" + tensor.kind), static_cast<uint32_t>(step)};
  const auto size = static_cast<int64_t>(size_of(tensor.dtype));
  std::vector<std::byte> all(static_cast<size_t>(tensor.shape.elements() * size));
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::byte>(random_word(key, i));
  std::vector<std::byte> part(static_cast<size_t>(box.elements() * size));
  for_each_run(whole(tensor.shape), box, box, [&](const CopyRun& run) {
    std::memcpy(part.data() + run.target * size, all.data() + run.source * size,
                static_cast<size_t>(run.count * size));
  });
  return part;
}

std::vector<Box> by_rows(const Shape& shape, int rank, int ranks) {
  return by_dim(shape, 0, rank, ranks);
}

std::vector<Box> by_columns(const Shape& shape, int rank, int ranks) {
  return by_dim(shape, shape.rank() - 1, rank, ranks);
}

std::vector<Box> flat_ranges(const Shape& shape, int rank, int ranks) {
  if (shape.rank() != 2) return by_rows(shape, rank, ranks);
  const auto [first, end] = share(shape.elements(), rank, ranks);
  return boxes_of_range(shape, first, end);
}

OwnedShards shards_of(int64_t step, const Layout& layout, int rank, int ranks) {
  OwnedShards owned;
  for (const TestTensor& tensor : test_tensors()) {
    for (const Box& box : layout(tensor.shape, rank, ranks)) {
      owned.memory.push_back(content(tensor, step, box));
      owned.shards.push_back(
          {tensor.name, tensor.kind, tensor.shape, tensor.dtype, box, owned.memory.back().data()});
    }
  }
  return owned;
}

std::vector<std::string> save(const std::string& directory, int64_t step, const Layout& layout,
                              int ranks, const std::function<void(SaveRequest&, int)>& change,
                              Saving saving) {
  return run_ranks(ranks, [&](Bootstrap& bootstrap) {
    const OwnedShards owned = shards_of(step, layout, bootstrap.rank(), ranks);
    SaveRequest request;
    request.directory = directory;
    request.step = step;
    request.shards = owned.shards;
    request.run_state_json = "{\"step\": " + std::to_string(step) + ", \"lr\": 0.1}";
    if (change) change(request, bootstrap.rank());
    if (saving == Saving::at_once) {
      save_checkpoint(request, bootstrap);
      return;
    }
    const auto copied = make_device({})->make_event();
    AsyncSave beside(bootstrap);
    beside.begin(request, *copied);
    advance_to_the_end(beside, bootstrap);
  });
}

int64_t sum_of_votes(const AsyncSave& save, Bootstrap& bootstrap) {
  int64_t sum = 0;
  for (const std::string& vote : bootstrap.all_gather(std::to_string(save.vote()))) {
    sum += std::stoll(vote);
  }
  return sum;
}

SaveResult advance_to_the_end(AsyncSave& save, Bootstrap& bootstrap) {
  while (true) {
    if (auto result = save.advance(sum_of_votes(save, bootstrap))) return *result;
  }
}

::testing::AssertionResult holds(const std::string& path, int64_t step, const Layout& layout,
                                 int ranks) {
  try {
    const CheckpointReader reader = CheckpointReader::open(path);
    if (reader.step() != step) return ::testing::AssertionFailure() << "step " << reader.step();
    for (const TestTensor& tensor : test_tensors()) {
      for (int rank = 0; rank < ranks; ++rank) {
        for (const Box& box : layout(tensor.shape, rank, ranks)) {
          const std::vector<std::byte> expected = content(tensor, step, box);
          std::vector<std::byte> got(expected.size(), std::byte{0xEE});
          reader.read(tensor.name, tensor.kind, box, got.data());
          if (got != expected) {
            return ::testing::AssertionFailure() << tensor.name << " " << to_string(box);
          }
        }
      }
    }
  } catch (const Error& error) {
    return ::testing::AssertionFailure() << error.what();
  }
  return ::testing::AssertionSuccess();
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace weft
