// Device: where tensors live and in which order work on them runs.
//
// A Stream is an ordered queue of work. CPU compute streams run each piece of work at once in the
// calling thread; a CPU communication stream owns one thread, so that a collective overlaps compute
// exactly as on a GPU. Events order streams against each other. There is no default device and no
// current stream: whoever needs one is handed it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

enum class DeviceKind { cpu, cuda };

// A block of device memory; freed with the object.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual void* data() = 0;
  virtual size_t bytes() const = 0;
};

// A point in a stream's order. Recorded once per use, may be reused after it was waited for.
class Event {
 public:
  virtual ~Event() = default;
  virtual void synchronize() = 0;  // blocks the calling thread until the recorded work is done
};

class Stream {
 public:
  virtual ~Stream() = default;
  // Blocks until all work enqueued so far is done; rethrows the first exception that work threw.
  virtual void synchronize() = 0;
  virtual void record(Event& event) = 0;  // event completes when all work so far is done
  virtual void wait(Event& event) = 0;    // later work starts after the event's last recording
};

// Readings of a clock at points in the order of streams, for looking at a run afterwards.
class Stamps {
 public:
  virtual ~Stamps() = default;
  // Enqueues a reading; returns its number, counted from 0.
  virtual size_t put(Stream& stream) = 0;
  // Reading `number` in nanoseconds since 1970 (UTC). Its stream must have been synchronized. Of
  // one stream's readings a later one is never smaller.
  virtual int64_t nanoseconds(size_t number) const = 0;
};

enum class StreamKind { compute, communication };

class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceKind kind() const = 0;
  virtual std::string description() const = 0;
  // Host threads of the rank that has this device; on a CPU they work on a compute stream together.
  virtual int threads() const { return 1; }
  // What slows this device down without making it wrong, a line each for people; known once there
  // is a compute stream.
  virtual std::vector<std::string> notices() const { return {}; }
  // Whether anything lies behind the addresses of its buffers; not on a planner's.
  virtual bool has_memory() const { return true; }
  // What allocate() can hand out now, of a device whose memory is its own; nothing for a CPU, which
  // shares the host's.
  virtual std::optional<size_t> free_bytes() const { return std::nullopt; }
  // 4 KiB aligned, zero-filled; throws Error{environment} with the sizes when memory is short.
  virtual std::unique_ptr<Buffer> allocate(size_t bytes) = 0;
  // Host memory for copies to and from this device: on a GPU such that they overlap other work.
  virtual std::unique_ptr<Buffer> allocate_host(size_t bytes) = 0;
  // A compute stream binds the calling thread: it must be used from that thread only.
  virtual std::unique_ptr<Stream> make_stream(StreamKind kind) = 0;
  virtual std::unique_ptr<Event> make_event() = 0;
  virtual std::unique_ptr<Stamps> make_stamps() = 0;
  // Copies between host and device memory (memcpy on the CPU; large ones to the host past the
  // caches, by all threads of the stream), ordered on `stream`.
  virtual void copy_to_device(void* device, const void* host, size_t bytes, Stream& stream) = 0;
  virtual void copy_to_host(void* host, const void* device, size_t bytes, Stream& stream) = 0;
};

// How a CPU rank multiplies matrices of bf16: natively, by its own instructions for them, or as f32
// copies. Automatic is natively where that is faster.
enum class Bf16Products { automatic, native, converted };

// Which device a rank works on, and how (core/backends makes it).
struct DeviceOptions {
  DeviceKind kind = DeviceKind::cpu;
  int threads = 1;                                       // compute threads of a CPU rank (>= 1)
  Bf16Products bf16_products = Bf16Products::automatic;  // of a CPU rank
  int local_rank = 0;        // among the ranks of this host: which GPU is this rank's
  int ranks_per_device = 1;  // ranks that share one GPU
  // Where the fastest algorithms of matrix products are kept between runs; empty for nowhere.
  std::string matmul_cache = {};
  bool measure_matmuls = false;  // products that are not kept there, when they are first computed
  // Whether the same calls give the same bits again, where a GPU has a faster way without.
  bool deterministic = true;
};

// What this build and this machine offer of CUDA, for people.
struct CudaReport {
  bool built = false;
  std::string runtime;               // version of the toolkit it was built with and of the driver
  std::string problem;               // why no GPU can be used; empty where one can
  std::vector<std::string> devices;  // one line each
};

}  // namespace weft
