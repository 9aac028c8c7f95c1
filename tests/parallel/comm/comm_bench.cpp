// How long collectives take beside what MPI offers for the same result, in one run, in turns.
//
//   mpirun -np 2 --bind-to none bench_comm [MiB] [REPEATS] [CHUNK_KIB]
//
// Prints, for each collective and size, the fastest (median) time of ours and of MPI's on the
// slowest rank. On a busy machine only the fastest says something.
#include <fmt/format.h>
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "core/device/cpu/cpu_device.h"
#include "parallel/comm/bootstrap.h"
#include "parallel/transports/transports.h"

namespace weft {
namespace {

struct Contest {
  std::string name;
  std::function<void()> ours;
  std::function<void()> theirs;
};

double seconds_of(const std::function<void()>& run) {
  MPI_Barrier(MPI_COMM_WORLD);
  const auto start = std::chrono::steady_clock::now();
  run();
  double mine = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  double slowest = 0;
  MPI_Allreduce(&mine, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  return slowest;
}

// Fastest and median, in us.
struct Times {
  double best;
  double middle;
};

Times times_of(std::vector<double> seconds) {
  std::ranges::sort(seconds);
  return {seconds.front() * 1e6, seconds[seconds.size() / 2] * 1e6};
}

void hold(const Contest& contest, size_t bytes, int repeats, bool report) {
  std::vector<double> ours;
  std::vector<double> theirs;
  contest.ours();
  contest.theirs();
  for (int i = 0; i < repeats; ++i) {
    ours.push_back(seconds_of(contest.ours));
    theirs.push_back(seconds_of(contest.theirs));
  }
  if (!report) return;
  const Times a = times_of(ours);
  const Times b = times_of(theirs);
  fmt::print(
      "{:<15} {:>9} B  ours {:>9.1f} ({:>9.1f}) us  MPI {:>9.1f} ({:>9.1f}) us  MPI/ours {:.2f} "
      "({:.2f})\n",
      contest.name, bytes, a.best, a.middle, b.best, b.middle, b.best / a.best,
      b.middle / a.middle);
}

void run(size_t largest, int repeats, const CommOptions& options) {
  const auto bootstrap = make_bootstrap(options);
  const auto comm = bootstrap->split(0, bootstrap->rank(), "world");
  CpuStream stream(1, false);
  const auto ranks = static_cast<size_t>(comm->size());
  for (size_t bytes : {size_t{1} << 10, size_t{1} << 14, size_t{1} << 20, largest}) {
    const auto whole = static_cast<int64_t>(bytes / sizeof(float) / ranks * ranks);
    const int part = static_cast<int>(whole) / comm->size();
    std::vector<float> a(static_cast<size_t>(whole), 0.0f);
    std::vector<float> b(static_cast<size_t>(part));
    const Tensor all(a.data(), Shape{whole}, DType::f32);
    const Tensor own(b.data(), Shape{part}, DType::f32);
    const Contest contests[] = {
        {"all_reduce max", [&] { comm->all_reduce(all, ReduceOp::max, stream); },
         [&] {
           MPI_Allreduce(MPI_IN_PLACE, a.data(), static_cast<int>(whole), MPI_FLOAT, MPI_MAX,
                         MPI_COMM_WORLD);
         }},
        {"all_reduce sum", [&] { comm->all_reduce(all, ReduceOp::sum, stream); },
         [&] {
           MPI_Allreduce(MPI_IN_PLACE, a.data(), static_cast<int>(whole), MPI_FLOAT, MPI_SUM,
                         MPI_COMM_WORLD);
         }},
        {"reduce_scatter", [&] { comm->reduce_scatter(all, own, stream); },
         [&] {
           MPI_Reduce_scatter_block(a.data(), b.data(), part, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
         }},
        {"all_gather", [&] { comm->all_gather(own, all, stream); },
         [&] {
           MPI_Allgather(b.data(), part, MPI_FLOAT, a.data(), part, MPI_FLOAT, MPI_COMM_WORLD);
         }},
    };
    for (const Contest& contest : contests) {
      // Sums of zeros stay finite however often they are repeated.
      std::fill(a.begin(), a.end(), 0.0f);
      const int times = bytes < (1 << 20) ? 100 * repeats : repeats;
      hold(contest, static_cast<size_t>(whole) * sizeof(float), times, comm->rank() == 0);
    }
  }
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  try {
    const int mib = argc > 1 ? std::atoi(argv[1]) : 64;
    const int repeats = argc > 2 ? std::atoi(argv[2]) : 15;
    weft::CommOptions options;
    if (argc > 3) options.chunk_bytes = static_cast<size_t>(std::max(1, std::atoi(argv[3]))) << 10;
    weft::run(static_cast<size_t>(std::max(1, mib)) << 20, std::max(1, repeats), options);
    return 0;
  } catch (const weft::Error& error) {
    fmt::print(stderr, "{}: {}\n", weft::name(error.kind()), error.what());
    weft::abort_world(weft::exit_code(error.kind()));
  }
}
