// One rank of a job in which rank 1 goes wrong in the way that the argument names; faults.sh looks
// at how the job ends.
#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "core/device/cpu/cpu_device.h"
#include "parallel/comm/bootstrap.h"
#include "parallel/transports/transports.h"

namespace {

using weft::Bootstrap;

void run(const std::string& fault) {
  weft::CommOptions options;
  options.deadline = fault == "absent" ? std::chrono::milliseconds(1500) : std::chrono::seconds(60);
  const auto bootstrap = weft::make_bootstrap(options);
  const auto comm = bootstrap->split(0, bootstrap->rank(), "dp");
  weft::CpuStream stream(1, true);
  std::vector<float> data(100000, 1.0f);
  const weft::Tensor tensor(data.data(), weft::Shape{100000}, weft::DType::f32);
  comm->all_reduce(tensor, weft::ReduceOp::sum, stream);
  stream.synchronize();
  if (bootstrap->rank() == 1) {
    if (fault == "throw") weft::fail(weft::ErrorKind::io, "rank 1 cannot write");
    if (fault == "kill") std::raise(SIGKILL);
    if (fault == "absent") std::this_thread::sleep_for(std::chrono::seconds(20));
  }
  comm->all_reduce(tensor, weft::ReduceOp::sum, stream);
  stream.synchronize();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? argv[1] : "none");
    return 0;
  } catch (const weft::Error& error) {
    fmt::print(stderr, "{}: {}\n", weft::name(error.kind()), error.what());
    weft::abort_world(weft::exit_code(error.kind()));
  }
}
