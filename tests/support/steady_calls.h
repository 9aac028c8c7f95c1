// Rounds of every collective on memory that is there already.
#pragma once

#include <vector>

#include "core/device/cpu/cpu_device.h"
#include "core/mesh/communicator.h"

namespace weft::testing {

struct SteadyCalls {
  static constexpr int64_t kCount = 20000;

  explicit SteadyCalls(const Communicator& comm)
      : whole(static_cast<size_t>(kCount * comm.size())), part(kCount) {}

  void run(Communicator& comm, Stream& stream) {
    const Tensor w(whole.data(), Shape{kCount * comm.size()}, DType::f32);
    const Tensor p(part.data(), Shape{kCount}, DType::f32);
    comm.all_reduce(w, ReduceOp::max, stream);
    comm.all_reduce(p.slice(0, 5), ReduceOp::sum, stream);
    comm.reduce_scatter(w, p, stream);
    comm.all_gather(p, w, stream);
    comm.broadcast(p, 0, stream);
    const int next = (comm.rank() + 1) % comm.size();
    const int previous = (comm.rank() + comm.size() - 1) % comm.size();
    const P2P messages[] = {{P2P::Kind::send, next, p.slice(0, kCount / 2)},
                            {P2P::Kind::receive, previous, p.slice(kCount / 2, kCount)}};
    comm.exchange(messages, stream);
    stream.synchronize();
    comm.barrier();
  }

  std::vector<float> whole;
  std::vector<float> part;
};

}  // namespace weft::testing
