#include "launch/commands/doctor_libraries.h"

#include <dnnl.h>
#include <fmt/core.h>
#include <hdf5.h>
#ifdef WEFT_HAS_MPI
#include <mpi.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

namespace weft {
namespace {

const char* onednn_threading() {
  switch (dnnl_version()->cpu_runtime) {
    case DNNL_RUNTIME_OMP:
      return "OpenMP";
    case DNNL_RUNTIME_TBB:
      return "TBB";
    case DNNL_RUNTIME_SEQ:
      return "one thread";
    default:
      return "other";
  }
}

}  // namespace

#ifdef WEFT_HAS_MPI
namespace {

constexpr std::array<const char*, 4> kThreadLevels = {"single", "funneled", "serialized",
                                                      "multiple"};

int thread_level_index(int level) {
  if (level == MPI_THREAD_MULTIPLE) return 3;
  if (level == MPI_THREAD_SERIALIZED) return 2;
  return level == MPI_THREAD_FUNNELED ? 1 : 0;
}

// What the child does. Without a launcher it talks to nobody; with one, to the other ranks, in the
// ways that the launcher was told.
[[noreturn]] void start_mpi_and_report(int pipe_out) {
  if (std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr) {
    setenv("OMPI_MCA_btl", "self", 1);
    setenv("OMPI_MCA_oob_tcp_if_include", "lo", 1);
  }
  if (std::freopen("/dev/null", "w", stdout) == nullptr ||
      std::freopen("/dev/null", "w", stderr) == nullptr) {
    _exit(1);
  }
  int level = MPI_THREAD_SINGLE;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &level) != MPI_SUCCESS) _exit(1);
  const char index = static_cast<char>(thread_level_index(level));
  const bool written = write(pipe_out, &index, 1) == 1;
  MPI_Finalize();
  _exit(written ? 0 : 1);
}

}  // namespace

std::string mpi_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  if (MPI_Get_library_version(text.data(), &length) != MPI_SUCCESS) return {};
  const std::string line(text.data());
  return line.substr(0, line.find(", "));
}

std::string mpi_thread_level() {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) return {};
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) start_mpi_and_report(ends[1]);
  close(ends[1]);
  char index = 0;
  const bool answered = child > 0 && read(ends[0], &index, 1) == 1;
  close(ends[0]);
  if (child > 0) waitpid(child, nullptr, 0);
  return answered ? kThreadLevels[static_cast<size_t>(index)] : "";
}
#else
std::string mpi_version() { return {}; }
std::string mpi_thread_level() { return {}; }
#endif

std::string hdf5_version() {
  unsigned major = 0, minor = 0, release = 0;
  if (H5get_libversion(&major, &minor, &release) < 0) return {};
  return fmt::format("{}.{}.{}", major, minor, release);
}

std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("{}.{}.{}, threads by {}", version->major, version->minor, version->patch,
                     onednn_threading());
}

#if defined(__x86_64__)
// The values of dnnl_cpu_isa_t are bit sets that grow from release to release.
std::string onednn_isa() {
  switch (static_cast<unsigned>(dnnl_get_effective_cpu_isa())) {
    case 0x1:
      return "sse41";
    case 0x3:
      return "avx";
    case 0x7:
      return "avx2";
    case 0x407:
      return "avx2_vnni";
    case 0xc07:
      return "avx2_vnni_2";
    case 0x27:
      return "avx512_core";
    case 0x67:
      return "avx512_core_vnni";
    case 0xe7:
      return "avx512_core_bf16";
    case 0x1ef:
      return "avx512_core_fp16";
    case 0x3e7:
    case 0xfef:
      return "avx512_core_amx";
    case 0x1fef:
      return "avx512_core_amx_fp16";
    default:
      return fmt::format("{:#x}", static_cast<unsigned>(dnnl_get_effective_cpu_isa()));
  }
}

bool onednn_is_fast() {
  return (static_cast<unsigned>(dnnl_get_effective_cpu_isa()) & dnnl_cpu_isa_avx2) ==
         static_cast<unsigned>(dnnl_cpu_isa_avx2);
}
#else
// oneDNN publishes names for the instruction sets of x86 alone.
std::string onednn_isa() { return ""; }

bool onednn_is_fast() { return true; }
#endif

}  // namespace weft
