#include "parallel/comm/mpi/mpi_wire.h"

#include <algorithm>
#include <array>

#include "parallel/comm/mpi/requests.h"

namespace weft {
namespace {

class MpiWire final : public Wire {
 public:
  explicit MpiWire(MPI_Comm comm) : comm_(comm) {
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
  }

  void send(WireBatch batch, WireTag tag, int peer, const void* data, size_t bytes) override {
    check_mpi(MPI_Isend(data, static_cast<int>(bytes), MPI_BYTE, peer, static_cast<int>(tag), comm_,
                        add(batch, peer)),
              "MPI_Isend");
  }

  void receive(WireBatch batch, WireTag tag, int peer, void* data, size_t bytes) override {
    check_mpi(MPI_Irecv(data, static_cast<int>(bytes), MPI_BYTE, peer, static_cast<int>(tag), comm_,
                        add(batch, peer)),
              "MPI_Irecv");
  }

  bool wait(WireBatch batch, std::chrono::milliseconds deadline, std::string_view what) override {
    Posted& posted = of(batch);
    if (!wait_requests(posted.requests, deadline, what)) return false;
    posted.requests.clear();
    posted.peers.clear();
    return true;
  }

  std::vector<int> missing(WireBatch batch) override {
    Posted& posted = of(batch);
    std::vector<int> peers;
    for (size_t i = 0; i < posted.requests.size(); ++i) {
      int done = 0;
      check_mpi(MPI_Test(&posted.requests[i], &done, MPI_STATUS_IGNORE), "MPI_Test");
      if (done == 0) peers.push_back(posted.peers[i]);
    }
    std::ranges::sort(peers);
    peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
    return peers;
  }

  void cancel() override {
    for (Posted& posted : batches_) cancel_requests(posted.requests);
  }

  void release() override { MPI_Comm_free(&comm_); }

 private:
  struct Posted {
    std::vector<MPI_Request> requests;
    std::vector<int> peers;  // of each
  };

  Posted& of(WireBatch batch) { return batches_[static_cast<size_t>(batch)]; }
  MPI_Request* add(WireBatch batch, int peer) {
    of(batch).peers.push_back(peer);
    return &of(batch).requests.emplace_back(MPI_REQUEST_NULL);
  }

  MPI_Comm comm_;
  std::array<Posted, kWireBatches> batches_;
};

}  // namespace

std::unique_ptr<Wire> make_mpi_wire(MPI_Comm comm) { return std::make_unique<MpiWire>(comm); }

}  // namespace weft
