#include "parallel/comm/mpi/mpi_bootstrap.h"

#include <mpi.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>
#include <numeric>
#include <vector>

#include "core/base/error.h"
#include "parallel/comm/color_group.h"
#include "parallel/comm/host_communicator.h"
#include "parallel/comm/mpi/mpi_wire.h"
#include "parallel/comm/mpi/requests.h"
#include "parallel/comm/patience.h"
#include "parallel/comm/wire_communicator.h"

namespace weft {
namespace {

void initialise_mpi() {
  int initialised = 0;
  MPI_Initialized(&initialised);
  WEFT_CHECK(initialised == 0, "this process has a second MPI bootstrap");
  constexpr int kNeeded = MPI_THREAD_MULTIPLE;  // an enumerator without a type in some libraries
  int provided = MPI_THREAD_SINGLE;
  MPI_Init_thread(nullptr, nullptr, kNeeded, &provided);
  if (provided < kNeeded) {
    fail(ErrorKind::environment,
         "this MPI library serves one thread at a time (level {} of {}); weft overlaps collectives "
         "with compute and needs a build with MPI_THREAD_MULTIPLE, as the distributions' "
         "libopenmpi-dev is",
         provided, kNeeded);
  }
}

class MpiBootstrap final : public Bootstrap {
 public:
  explicit MpiBootstrap(const CommOptions& options)
      : chunk_bytes_(options.chunk_bytes),
        patience_(std::make_shared<Patience>(options.deadline)),
        exceptions_(std::uncaught_exceptions()) {
    initialise_mpi();
    check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &comm_), "MPI_Comm_dup");
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
    MPI_Comm host = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &host),
              "MPI_Comm_split_type");
    MPI_Comm_rank(host, &local_rank_);
    MPI_Comm_size(host, &local_size_);
    MPI_Comm_free(&host);
  }

  ~MpiBootstrap() override {
    if (std::uncaught_exceptions() > exceptions_) return;
    MPI_Comm_free(&comm_);
    MPI_Finalize();
  }

  MpiBootstrap(const MpiBootstrap&) = delete;
  MpiBootstrap& operator=(const MpiBootstrap&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int local_rank() const override { return local_rank_; }
  int local_size() const override { return local_size_; }

  void set_deadline(std::chrono::milliseconds deadline) override {
    patience_->set_deadline(deadline);
  }

  void barrier() override {
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(MPI_Ibarrier(comm_, &request), "MPI_Ibarrier");
    wait(request, "barrier");
  }

  std::string broadcast(const std::string& text, int root) override {
    int length = static_cast<int>(text.size());
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(MPI_Ibcast(&length, 1, MPI_INT, root, comm_, &request), "MPI_Ibcast");
    wait(request, "broadcast");
    std::string result = rank_ == root ? text : std::string(static_cast<size_t>(length), '\0');
    check_mpi(MPI_Ibcast(result.data(), length, MPI_CHAR, root, comm_, &request), "MPI_Ibcast");
    wait(request, "broadcast");
    return result;
  }

  std::vector<std::string> all_gather(const std::string& text) override {
    const int length = static_cast<int>(text.size());
    std::vector<int> lengths(static_cast<size_t>(size_));
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(MPI_Iallgather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, comm_, &request),
              "MPI_Iallgather");
    wait(request, "all_gather");
    std::vector<int> starts(lengths.size());
    std::exclusive_scan(lengths.begin(), lengths.end(), starts.begin(), 0);
    std::string all(static_cast<size_t>(starts.back() + lengths.back()), '\0');
    check_mpi(MPI_Iallgatherv(text.data(), length, MPI_CHAR, all.data(), lengths.data(),
                              starts.data(), MPI_CHAR, comm_, &request),
              "MPI_Iallgatherv");
    wait(request, "all_gather");
    std::vector<std::string> texts;
    for (size_t r = 0; r < lengths.size(); ++r) {
      texts.push_back(all.substr(static_cast<size_t>(starts[r]), static_cast<size_t>(lengths[r])));
    }
    return texts;
  }

  std::unique_ptr<Communicator> split(int color, int key, const std::string& axis) override {
    const std::vector<int> members = color_group(claims(color, key), rank_);
    const auto me = std::find(members.begin(), members.end(), rank_) - members.begin();
    const bool alone = members.size() == 1;
    MPI_Comm group = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split(comm_, alone ? MPI_UNDEFINED : members.front(), static_cast<int>(me),
                             &group),
              "MPI_Comm_split");
    if (alone) return make_self_communicator(axis);
    return make_wire_communicator(make_mpi_wire(group), static_cast<int>(me), members, axis,
                                  chunk_bytes_, patience_);
  }

 private:
  std::vector<ColorClaim> claims(int color, int key) {
    const ColorClaim mine{color, key};
    std::vector<ColorClaim> all(static_cast<size_t>(size_));
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(MPI_Iallgather(&mine, 2, MPI_INT, all.data(), 2, MPI_INT, comm_, &request),
              "MPI_Iallgather");
    wait(request, "split");
    return all;
  }

  void wait(MPI_Request& request, std::string_view what) {
    patience_->wait(
        [&](std::chrono::milliseconds time) {
          return wait_requests({&request, 1}, time, what);
        },
        [&] {
          return fmt::format("{} of the control plane: rank {} waits for the other {} ranks", what,
                             rank_, size_ - 1);
        });
  }

  size_t chunk_bytes_;
  std::shared_ptr<Patience> patience_;
  int exceptions_;
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
  int local_rank_ = 0;
  int local_size_ = 1;
};

}  // namespace

std::unique_ptr<Bootstrap> make_mpi_bootstrap(const CommOptions& options) {
  return std::make_unique<MpiBootstrap>(options);
}

bool started_by_mpi() {
  constexpr std::array kMarks{"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE"};
  return std::any_of(kMarks.begin(), kMarks.end(),
                     [](const char* mark) { return std::getenv(mark) != nullptr; });
}

void abort_mpi(int exit_code) {
  int initialised = 0;
  int finalized = 0;
  MPI_Initialized(&initialised);
  MPI_Finalized(&finalized);
  if (initialised != 0 && finalized == 0) MPI_Abort(MPI_COMM_WORLD, exit_code);
}

}  // namespace weft
