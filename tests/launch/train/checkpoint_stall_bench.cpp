// How long training stands still for a checkpoint that is written beside it, and a memcpy of as
// many bytes, in turns within one run: bench_checkpoint_stall [WIDTH [DIRECTORY]]
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "launch/train/checkpointer.h"
#include "tests/launch/engine_rank.h"

namespace weft {
namespace {

constexpr int kRounds = 9;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

RunConfig run_of_width(int64_t width, const std::string& directory) {
  RunConfig run = char_run();
  run.model.width = width;
  run.checkpoint.interval = 1;
  run.checkpoint.keep_last = 1;
  run.checkpoint.directory = directory;
  run.train.batch_size = 1;
  return run;
}

double memcpy_seconds(std::vector<std::byte>& to, const std::vector<std::byte>& from) {
  const auto begin = std::chrono::steady_clock::now();
  std::memcpy(to.data(), from.data(), from.size());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void bench(int64_t width, const std::string& directory) {
  run_local_ranks(1, [&](Bootstrap& bootstrap) {
    const RunConfig config = run_of_width(width, directory);
    EngineRank rank(config, bootstrap);
    const DirectoryLock lock(directory);
    Checkpointer checkpoints(config, rank.engine(), rank.device(), rank.compute(), bootstrap,
                             nullptr);
    checkpoints.open(lock, {}, [](const std::string&) {});
    const int64_t bytes = rank.engine().parameters().global_elements() * 12;
    std::vector<std::byte> from(static_cast<size_t>(bytes), std::byte{1}), to(from);
    std::vector<double> copies, stalls, writes;
    for (int64_t step = 1; step <= kRounds; ++step) {
      copies.push_back(memcpy_seconds(to, from));
      checkpoints.save({.step = step});
      stalls.push_back(checkpoints.take_cost().stall_seconds);
      checkpoints.settle();
      writes.push_back(checkpoints.take_cost().write_seconds);
    }
    const double copy = median(copies), stall = median(stalls), write = median(writes);
    fmt::print(
        "{:.0f} MB, one rank, {} rounds, medians: memcpy {:.2f} ms, stall {:.2f} ms ({:.2f} x), "
        "written in {:.0f} ms\n",
        static_cast<double>(bytes) / 1e6, kRounds, copy * 1e3, stall * 1e3, stall / copy,
        write * 1e3);
  });
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  const int64_t width = argc > 1 ? std::atoll(argv[1]) : 1024;
  const std::string directory =
      argc > 2 ? argv[2]
               : (std::filesystem::temp_directory_path() / fmt::format("weft-stall-{}", getpid()))
                     .string();
  try {
    weft::bench(width, directory);
  } catch (const weft::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return weft::exit_code(error.kind());
  }
  if (argc <= 2) std::filesystem::remove_all(directory);
  return 0;
}
