// GB/s of saving, loading and verifying a checkpoint, beside plain write+fsync and a plain cached
// read of as many bytes, in turns within one run: bench_checkpoint [MEGABYTES] [DIRECTORY]
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/philox.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/files.h"
#include "tests/core/checkpoint/fake_ranks.h"

namespace weft {
namespace {

constexpr int kRounds = 8;
constexpr int64_t kWidth = 4096;  // elements of a row
constexpr int kTensors = 8;

double seconds(const std::function<void()>& action) {
  const auto start = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Row {
  const char* name;
  std::vector<double> times = {};
};

void print(Row& row, double bytes) {
  std::sort(row.times.begin(), row.times.end());
  fmt::print("{:<28} median {:6.2f} GB/s   best {:6.2f}   worst {:6.2f}\n", row.name,
             bytes / row.times[row.times.size() / 2] / 1e9, bytes / row.times.front() / 1e9,
             bytes / row.times.back() / 1e9);
}

class Bench {
 public:
  Bench(int64_t megabytes, std::string directory)
      : directory_(std::move(directory)),
        shape_{std::max<int64_t>(1, megabytes * 1'000'000 / 4 / kTensors / kWidth), kWidth},
        data_(static_cast<size_t>(shape_.elements() * kTensors)) {
    fill_normal({1, 2, 3}, 0, static_cast<int64_t>(data_.size()), 0.02, data_.data());
    for (int i = 0; i < kTensors; ++i) {
      shards_.push_back({fmt::format("h.{}.weight", i), "weight", shape_, DType::f32, whole(shape_),
                         data_.data() + i * shape_.elements()});
    }
    std::filesystem::create_directories(directory_);
  }

  void run() {
    Row plain_write{"plain write + fsync"}, save{"save"}, plain_read{"plain read, cached"},
        load{"load, cached"}, verify{"verify, cached"};
    write_plainly();
    save_once(0);
    for (int round = 1; round <= kRounds; ++round) {
      // Who comes first gets the memory that was freed last, which a virtual machine has at hand.
      if (round % 2 == 0) plain_write.times.push_back(seconds([&] { write_plainly(); }));
      save.times.push_back(seconds([&] { save_once(round); }));
      if (round % 2 == 1) plain_write.times.push_back(seconds([&] { write_plainly(); }));
      plain_read.times.push_back(seconds([&] { read_plainly(); }));
      load.times.push_back(seconds([&] { load_once(round); }));
      verify.times.push_back(seconds([&] { verify_checkpoint(step(round)); }));
    }
    const double bytes = static_cast<double>(data_.size()) * 4;
    fmt::print("{:.0f} MB in {} tensors, one rank, {} rounds, {}\n", bytes / 1e6, kTensors, kRounds,
               directory_);
    for (Row* row : {&plain_write, &save, &plain_read, &load, &verify}) print(*row, bytes);
  }

 private:
  std::span<std::byte> bytes() { return std::as_writable_bytes(std::span(data_)); }
  std::string plain() const { return directory_ + "/plain"; }
  std::string step(int round) const { return fmt::format("{}/step_{:08}", directory_, round); }

  // As a save does: the file before goes when this one is there, so both write into memory that the
  // page cache did not have a moment before.
  void write_plainly() {
    const std::string draft = plain() + ".tmp";
    FileWriter writer(nullptr);
    {
      const FileDescriptor file = writer.create(draft);
      writer.write_at(file, 0, bytes(), draft);
      writer.sync(file, draft);
    }
    writer.rename(draft, plain());
  }

  void read_plainly() {
    read_at(open_regular(open_directory(directory_), "plain", plain()), 0, bytes(), plain());
  }

  void save_once(int round) {
    SaveRequest request;
    request.directory = directory_;
    request.step = round;
    request.shards = shards_;
    request.retention.keep_last = 1;
    FakeWorld world(1);
    FakeBootstrap bootstrap(world, 0);
    save_checkpoint(request, bootstrap);
  }

  void load_once(int round) {
    const CheckpointReader reader = CheckpointReader::open(step(round));
    for (int i = 0; i < kTensors; ++i) {
      reader.read(shards_[static_cast<size_t>(i)].tensor, "weight", whole(shape_),
                  data_.data() + i * shape_.elements());
    }
  }

  const std::string directory_;
  const Shape shape_;
  std::vector<float> data_;
  std::vector<Shard> shards_;
};

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  const int64_t megabytes = argc > 1 ? std::atoll(argv[1]) : 500;
  const std::string directory =
      argc > 2 ? argv[2]
               : (std::filesystem::temp_directory_path() / fmt::format("weft-bench-{}", getpid()))
                     .string();
  try {
    weft::Bench(megabytes, directory).run();
  } catch (const weft::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return weft::exit_code(error.kind());
  }
  if (argc <= 2) std::filesystem::remove_all(directory);
  return 0;
}
