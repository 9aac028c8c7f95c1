// `weft doctor`: what this machine and this build can do, what is missing, and what to install.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/backends/backends.h"
#include "core/base/error.h"
#include "core/base/json_text.h"
#include "core/device/cpu/thread_team.h"
#include "core/device/device.h"
#include "core/ops/check_products.h"
#include "core/ops/cuda/cuda_libraries.h"
#include "launch/commands/commands.h"
#include "launch/commands/doctor_libraries.h"
#include "launch/host/machine.h"
#include "launch/host/version.h"
#include "launch/show/format_numbers.h"
#include "launch/step/cpu_threads.h"
#include "launch/step/require_memory.h"

namespace weft {
namespace {

// fine: nothing to do. warning: works, but not as well as it could. missing: cannot train.
enum class Status { fine, warning, missing };

struct Check {
  std::string section;
  std::string name;
  std::string value;
  Status status = Status::fine;
  std::string hint = {};  // what to do; empty when fine
};

struct Diagnosis {
  Machine machine;
  CudaReport cuda;
  int threads = 0;  // of one rank
  std::vector<Check> checks;

  bool able_to_train() const {
    return std::none_of(checks.begin(), checks.end(),
                        [](const Check& check) { return check.status == Status::missing; });
  }
};

std::string compiler() {
#if defined(__clang__)
  return fmt::format("clang++ {}", __clang_version__);
#else
  return fmt::format("g++ {}", __VERSION__);
#endif
}

// Instruction sets that the compiler was allowed to use and that this CPU must therefore have.
std::vector<std::string> built_for() {
  std::vector<std::string> names;
#ifdef __SSE4_2__
  names.emplace_back("sse4_2");
#endif
#ifdef __AVX2__
  names.emplace_back("avx2");
#endif
#ifdef __FMA__
  names.emplace_back("fma");
#endif
#ifdef __AVX512F__
  names.emplace_back("avx512f");
#endif
#ifdef __AVX512BF16__
  names.emplace_back("avx512_bf16");
#endif
#ifdef __AVX512FP16__
  names.emplace_back("avx512_fp16");
#endif
  return names;
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text.empty() ? "none" : text;
}

void check_program(Diagnosis& result) {
  const std::string build = WEFT_BUILD_TYPE;
  Check compiled{"program", "compiler", fmt::format("{}, C++20, {}", compiler(), build)};
  if (build != "Release" && build != "RelWithDebInfo") {
    compiled.status = Status::warning;
    compiled.hint = "this build is slow; for training use cmake --preset release";
  }
  result.checks.push_back(compiled);

  Check instructions{"program", "built for", join(built_for())};
  for (const std::string& name : built_for()) {
    const auto& isa = result.machine.isa;
    if (std::find(isa.begin(), isa.end(), name) != isa.end()) continue;
    instructions.status = Status::missing;
    instructions.hint = fmt::format(
        "this CPU has no {}: build on this machine, or with -DWEFT_ARCH=x86-64-v3", name);
  }
  result.checks.push_back(instructions);
  result.checks.push_back(
      {"program", "CUDA", result.cuda.built ? result.cuda.runtime : "none: built without CUDA"});
}

void check_libraries(Diagnosis& result) {
  const std::string version = mpi_version();
  const std::string level = mpi_thread_level();
  Check mpi{"libraries", "MPI", version + (level.empty() ? "" : ", threads: " + level)};
  if (version.empty()) {
    mpi.value = "none: built without MPI, `weft launch` starts ranks";
  } else if (level.empty()) {
    mpi.status = Status::missing;
    mpi.hint = "MPI_Init fails; reinstall openmpi-bin and libopenmpi-dev (launch/install)";
  }
  result.checks.push_back(mpi);
  result.checks.push_back({"libraries", "HDF5", hdf5_version()});
  Check onednn{"libraries", "oneDNN", onednn_version()};
  if (const std::string isa = onednn_isa(); !isa.empty()) onednn.value += ", kernels: " + isa;
  if (!onednn_is_fast()) {
    onednn.status = Status::warning;
    onednn.hint = "no AVX2: matrix products will be slow on this CPU, or DNNL_MAX_CPU_ISA is set";
  }
  result.checks.push_back(onednn);
  for (const CudaLibrary& library : cuda_libraries()) {
    Check check{"libraries", library.name, library.version};
    if (library.version.empty()) {
      check.value = "not found";
      // Nobody misses them without a GPU.
      check.status = result.cuda.devices.empty() ? Status::fine : Status::warning;
      check.hint = library.problem;
    }
    result.checks.push_back(check);
  }
}

Check check_usable_cores(const Machine& machine) {
  const auto usable = static_cast<int>(machine.usable_cores.size());
  Check check{"machine", "usable cores", fmt::format("{}", usable)};
  if (machine.cpu_quota) {
    check.value += fmt::format(", {:.3g} cores' worth of time ({})", machine.cpu_quota->cores,
                               machine.cpu_quota->group);
  }
  if (usable < machine.cores) {
    check.status = Status::warning;
    check.hint = fmt::format(
        "this process may use {} of {} cores (taskset, a container, or mpirun, which binds each "
        "rank to one core): mpirun --map-by slot:pe=K gives K cores to a rank, --bind-to none all",
        usable, machine.cores);
  } else if (machine.cpu_quota && machine.cpu_quota->cores < usable) {
    check.status = Status::warning;
    check.hint = fmt::format(
        "its control group allows {:.3g} of {} cores' worth of time, and cpu.threads: auto takes "
        "no more; raise the quota (docker --cpus, CPUQuota of systemd) to use the others",
        machine.cpu_quota->cores, usable);
  }
  return check;
}

// The threads that a run of one rank with cpu.threads: auto would have, and whether they compute.
Check check_threads(const Machine& machine, int& threads) {
  Check check{"machine", "threads", "none"};
  try {
    threads = compute_threads(CpuConfig{});
    require_process_room(threads, 1);
    const auto device = make_device({.threads = threads});
    const auto stream = device->make_stream(StreamKind::compute);
    const auto ops = make_ops(*device);
    for (DType type : {DType::f32, DType::bf16}) check_products(*device, *ops, *stream, type);
    check.value = fmt::format("{} for one rank, their matrix products are right", threads);
    const std::vector<std::string> notices = device->notices();
    const std::optional<int> limit = thread_limit();
    if (limit && *limit <= threads && *limit < static_cast<int>(machine.usable_cores.size())) {
      check.status = Status::warning;
      check.hint =
          fmt::format("OMP_THREAD_LIMIT={} keeps a rank to that many threads: unset it", *limit);
    } else if (!notices.empty()) {
      check.status = Status::warning;
      check.hint = notices.front();
    }
  } catch (const Error& error) {
    check.status = Status::missing;
    check.hint = error.what();
  }
  return check;
}

std::string memory_text(const Machine& machine) {
  std::string text = fmt::format("{}, {} available", format_bytes(machine.memory_bytes),
                                 format_bytes(machine.memory_available_bytes));
  if (machine.memory_limit) {
    text += fmt::format(", limit {} ({})", format_bytes(machine.memory_limit->bytes),
                        machine.memory_limit->group);
  }
  if (machine.process_limit) {
    text += fmt::format(", {} {}, {} left of it", machine.process_limit->name,
                        format_bytes(machine.process_limit->bytes),
                        format_bytes(machine.process_limit->free_bytes));
  }
  return text;
}

Check check_disk() {
  constexpr std::uintmax_t kEnough = std::uintmax_t{1} << 30;
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(".", error);
  if (error) return {"machine", "disk here", "unknown", Status::warning, error.message()};
  Check check{"machine", "disk here",
              format_bytes(static_cast<int64_t>(space.available)) + " free"};
  if (access(".", W_OK) != 0) {
    check.status = Status::missing;
    check.hint = "this directory cannot be written, and runs/ is made in it: cd elsewhere";
  } else if (space.available < kEnough) {
    check.status = Status::warning;
    check.hint = "checkpoints of a 124M model take about 1.5 GB each; free some space";
  }
  return check;
}

void check_machine(Diagnosis& result) {
  const Machine& machine = result.machine;
  const auto add = [&](const char* name, std::string value) {
    result.checks.push_back({"machine", name, value.empty() ? "unknown" : std::move(value)});
  };
  add("host", machine.host);
  add("CPU", machine.cpu_model);
  add("instructions", join(machine.isa));
  add("cores", fmt::format("{}", machine.cores));
  result.checks.push_back(check_usable_cores(machine));
  result.checks.push_back(check_threads(machine, result.threads));
  add("memory", memory_text(machine));
  Check pages{"machine", "huge pages", machine.huge_pages.empty() ? "unknown" : machine.huge_pages};
  if (machine.huge_pages == "never") {
    pages.status = Status::warning;
    pages.hint =
        "large arrays are faster with: echo madvise > "
        "/sys/kernel/mm/transparent_hugepage/enabled (as root)";
  }
  result.checks.push_back(pages);
  if (!result.cuda.problem.empty()) add("GPU", "no CUDA device: " + result.cuda.problem);
  for (const std::string& device : result.cuda.devices) add("GPU", device);
  result.checks.push_back(check_disk());
}

// Where the shell would find `program`; empty when nowhere.
std::string find_program(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::string rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(':'), rest.size());
    std::string file = rest.substr(0, end) + "/" + program;
    if (access(file.c_str(), X_OK) == 0) return file;
    rest.erase(0, std::min(end + 1, rest.size()));
  }
  return {};
}

void check_tools(Diagnosis& result) {
  struct Tool {
    const char* program;
    const char* package;
    const char* purpose;
    Status without;
  };
  constexpr Tool kTools[] = {
      {"mpirun", "openmpi-bin", "several processes or hosts", Status::missing},
      {"g++", "g++", "building", Status::warning},
      {"cmake", "cmake", "building", Status::warning},
      {"ninja", "ninja-build", "building", Status::warning},
      {"ccache", "ccache", "building again quickly", Status::warning},
      {"git", "git", "the checks of the sources", Status::warning},
      {"python3", "python3", "the checks of the sources", Status::warning},
      {"bible", "bible-kjv", "the text of launch/quickstart", Status::warning},
  };
  for (const Tool& tool : kTools) {
    const std::string file = find_program(tool.program);
    Check check{"tools", tool.program, file.empty() ? "not found" : file};
    if (file.empty()) {
      const bool unused = mpi_version().empty() && tool.program == std::string_view("mpirun");
      check.status = unused ? Status::warning : tool.without;
      check.hint = fmt::format("for {}: apt-get install {}", tool.purpose, tool.package);
    }
    result.checks.push_back(check);
  }
}

Diagnosis diagnose() {
  Diagnosis result;
  result.machine = read_machine();
  result.cuda = cuda_report();
  check_program(result);
  check_libraries(result);
  check_machine(result);
  check_tools(result);
  return result;
}

void print_text(const Diagnosis& result) {
  constexpr const char* kMarks[] = {" ", "!", "x"};
  fmt::print("weft {}\n", version());
  std::string section;
  for (const Check& check : result.checks) {
    if (check.section != section) fmt::print("\n{}\n", section = check.section);
    fmt::print("{} {:<15} {}\n", kMarks[static_cast<int>(check.status)], check.name, check.value);
    if (!check.hint.empty()) fmt::print("  {:<15} -> {}\n", "", check.hint);
  }
  fmt::print("\n{}\n", result.able_to_train()
                           ? "This machine can train."
                           : "This machine cannot train: see the lines marked x.");
}

void print_json(const Diagnosis& result) {
  constexpr const char* kStatus[] = {"fine", "warning", "missing"};
  const Machine& machine = result.machine;
  nlohmann::ordered_json checks = nlohmann::ordered_json::array();
  for (const Check& check : result.checks) {
    checks.push_back({{"section", check.section},
                      {"name", check.name},
                      {"value", check.value},
                      {"status", kStatus[static_cast<int>(check.status)]},
                      {"hint", check.hint}});
  }
  const nlohmann::ordered_json document = {
      {"weft", std::string(version())},
      {"able_to_train", result.able_to_train()},
      {"machine",
       {{"host", machine.host},
        {"cpu", machine.cpu_model},
        {"isa", machine.isa},
        {"cores", machine.cores},
        {"usable_cores", machine.usable_cores.size()},
        {"cpu_quota", machine.cpu_quota ? nlohmann::json(machine.cpu_quota->cores) : nullptr},
        {"threads", result.threads},
        {"memory_bytes", machine.memory_bytes},
        {"memory_available_bytes", machine.memory_available_bytes},
        {"huge_pages", machine.huge_pages}}},
      {"checks", checks}};
  fmt::print("{}\n", json_text(document, 2));
}

}  // namespace

void add_doctor_command(Command root, int& exit_code) {
  const Command app = root.subcommand(
      "doctor", "Show versions and capabilities, and what is missing with the package to install");
  const auto json = std::make_shared<bool>(false);
  app.flag("--json", *json, "Print one JSON object, not a table");
  app.run([&exit_code, json] {
    constexpr int kCannotTrain = 3;
    const Diagnosis result = diagnose();
    *json ? print_json(result) : print_text(result);
    exit_code = result.able_to_train() ? 0 : kCannotTrain;
  });
}

}  // namespace weft
