// The small language of the checkpoint tests: a few tensors with known content, cut over ranks.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/checkpoint/async_save.h"
#include "core/checkpoint/checkpoint.h"
#include "core/mesh/communicator.h"

namespace weft {

// An empty directory that is gone at the end of the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A tensor whose every byte follows from its name, kind, the step and the position.
struct TestTensor {
  std::string name;
  std::string kind;
  Shape shape;
  DType dtype;
};
// Matrices, vectors, a cube, a scalar, odd extents; f32, bf16, f16, f64 and i64.
std::vector<TestTensor> test_tensors();
std::vector<std::byte> content(const TestTensor& tensor, int64_t step, const Box& box);

// The boxes of a tensor that `rank` of `ranks` owns; together they are the tensor.
using Layout = std::function<std::vector<Box>(const Shape& shape, int rank, int ranks)>;
std::vector<Box> by_rows(const Shape& shape, int rank, int ranks);
std::vector<Box> by_columns(const Shape& shape, int rank, int ranks);
std::vector<Box> flat_ranges(const Shape& shape, int rank, int ranks);  // like ZeRO: up to 3 boxes

// One rank's shards of test_tensors() at a step, with their memory.
struct OwnedShards {
  std::vector<std::vector<std::byte>> memory;
  std::vector<Shard> shards;
};
OwnedShards shards_of(int64_t step, const Layout& layout, int rank, int ranks);

// By save_checkpoint, or by AsyncSave in steps whose votes are summed.
enum class Saving { at_once, beside_steps };

// Saves test_tensors() at `step`. Each rank's error, "" where it threw none.
std::vector<std::string> save(const std::string& directory, int64_t step, const Layout& layout,
                              int ranks, const std::function<void(SaveRequest&, int)>& change = {},
                              Saving saving = Saving::at_once);

// What steps do for a save in flight until it is over. Collective.
SaveResult advance_to_the_end(AsyncSave& save, Bootstrap& bootstrap);
// The sum over all ranks. Collective.
int64_t sum_of_votes(const AsyncSave& save, Bootstrap& bootstrap);

// Whether all tensors of the checkpoint, read through `layout`, are exactly those of `step`.
::testing::AssertionResult holds(const std::string& path, int64_t step,
                                 const Layout& layout = by_rows, int ranks = 1);

std::string read_file(const std::string& path);
void write_file(const std::string& path, const std::string& bytes);

// The message of the Error that `action` throws; "" when it throws none.
std::string error_of(const std::function<void()>& action);

}  // namespace weft
