#include "launch/step/require_memory.h"

#include <algorithm>

#include "core/base/error.h"
#include "launch/host/machine.h"

namespace weft {
namespace {

constexpr double kMib = 1 << 20;

struct Needed {
  int64_t bytes = 0;
  std::string parts;

  void add(const SegmentBytes& s) {
    if (s.bytes == 0) return;
    bytes += static_cast<int64_t>(s.bytes);
    parts += fmt::format("{}{} {:.1f}", parts.empty() ? "" : ", ", s.name,
                         static_cast<double>(s.bytes) / kMib);
  }
};

void require(const Needed& one, int ranks, int64_t available, const std::string& where,
             const std::string& advice) {
  const int64_t all = one.bytes * ranks;
  if (all <= available) return;
  fail(
      ErrorKind::environment,
      "the run needs {:.1f} MiB of {} ({:.1f} MiB for each of its {} rank{} there: {}), {:.1f} MiB "
      "are free; {}",
      static_cast<double>(all) / kMib, where, static_cast<double>(one.bytes) / kMib, ranks,
      ranks == 1 ? "" : "s", one.parts, static_cast<double>(available) / kMib, advice);
}

// Beside plans, of a process: what libraries take until memory is planned and after, and with
// stacks what each thread takes. Measured: 60 MiB are too little for one rank of two threads, 100
// enough.
constexpr int64_t kRoomLater = int64_t{48} << 20;
constexpr int64_t kRoom = int64_t{96} << 20;
constexpr int64_t kRoomOfThread = int64_t{12} << 20;

}  // namespace

void require_process_room(int threads, int ranks_in_process) {
  const std::optional<ProcessLimit> limit = read_machine().process_limit;
  if (!limit) return;
  const int64_t needed = kRoom + kRoomOfThread * threads * ranks_in_process;
  if (limit->free_bytes >= needed) return;
  fail(ErrorKind::environment,
       "{} leaves this process {:.1f} MiB of its {:.1f}, and {} rank{} with {} thread{} need about "
       "{:.0f} before any model; raise it, or set fewer cpu.threads",
       limit->name, static_cast<double>(limit->free_bytes) / kMib,
       static_cast<double>(limit->bytes) / kMib, ranks_in_process, ranks_in_process == 1 ? "" : "s",
       threads, threads == 1 ? "" : "s", static_cast<double>(needed) / kMib);
}

void require_memory(const std::vector<SegmentBytes>& plan, const MemoryOnOffer& offer) {
  Needed host, device;
  for (const SegmentBytes& s : plan) {
    (offer.device_bytes && !s.of_host ? device : host).add(s);
  }
  if (offer.device_bytes) {
    require(device, offer.ranks_on_device, static_cast<int64_t>(*offer.device_bytes), "GPU memory",
            "lower train.micro_batch_size or train.sequence_length, raise recompute.policy, "
            "mesh.zero, mesh.tp or mesh.pp, or keep moments in bf16 (optimizer.state_dtype); weft "
            "plan memory shows what each does");
  }
  const std::string advice =
      offer.device_bytes
          ? "set checkpoint.async: false"
          : "lower train.micro_batch_size, train.sequence_length or the model's size";
  if (offer.process_bytes) {
    require(host, offer.ranks_in_process, std::max<int64_t>(0, *offer.process_bytes - kRoomLater),
            fmt::format("its process's memory ({})", offer.process_limit),
            fmt::format("raise {}, or {}", offer.process_limit, advice));
  }
  if (offer.host_bytes > 0) {
    require(host, offer.ranks_on_host, offer.host_bytes, "host memory", advice);
  }
}

}  // namespace weft
