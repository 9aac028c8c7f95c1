#include "parallel/comm/nccl/nccl_bootstrap.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/base/error.h"
#include "parallel/comm/color_group.h"
#include "parallel/comm/nccl/nccl_communicator.h"

namespace weft {
namespace {

class NcclBootstrap final : public Bootstrap {
 public:
  NcclBootstrap(Bootstrap& host, NcclApi api, const CommOptions& options)
      : host_(host), api_(std::move(api)), options_(options), watch_(api_, options) {}

  int rank() const override { return host_.rank(); }
  int size() const override { return host_.size(); }
  int local_rank() const override { return host_.local_rank(); }
  int local_size() const override { return host_.local_size(); }
  int ranks_in_process() const override { return host_.ranks_in_process(); }
  void barrier() override { host_.barrier(); }
  std::string broadcast(const std::string& text, int root) override {
    return host_.broadcast(text, root);
  }
  std::vector<std::string> all_gather(const std::string& text) override {
    return host_.all_gather(text);
  }

  std::unique_ptr<Communicator> split(int color, int key, const std::string& axis) override {
    const std::vector<int> members = color_group(gather_claims(host_, {color, key}), rank());
    const bool first = members.front() == rank();
    const std::vector<std::string> ids =
        host_.all_gather(first && members.size() > 1 ? new_id() : std::string());
    ncclUniqueId id{};
    const std::string& given = ids[static_cast<size_t>(members.front())];
    if (members.size() > 1) std::memcpy(&id, given.data(), std::min(sizeof id, given.size()));
    const auto me = static_cast<int>(std::ranges::find(members, rank()) - members.begin());
    return make_nccl_communicator(api_, watch_, id, me, static_cast<int>(members.size()), axis,
                                  options_);
  }

 private:
  std::string new_id() {
    ncclUniqueId id{};
    const ncclResult_t made = api_.get_unique_id(&id);
    if (made != ncclSuccess) {
      fail(ErrorKind::environment, "NCCL cannot name a group: {}", api_.error_string(made));
    }
    return {reinterpret_cast<const char*>(&id), sizeof id};
  }

  Bootstrap& host_;
  NcclApi api_;
  CommOptions options_;
  NcclWatch watch_;
};

// What NCCL compares, of hosts and then of GPUs, is the host's identity first (NCCL 2.28,
// src/init.cc); the rest keeps it from paths that ranks of one GPU do not have, and from algorithms
// that want more of the GPU than a share.
void pose_as_hosts(const Bootstrap& host) {
  const std::string identity = fmt::format("weft-rank-{}", host.rank());
  setenv("NCCL_HOSTID", identity.c_str(), 0);
  if (host.local_size() == host.size()) setenv("NCCL_SOCKET_IFNAME", "lo", 0);
  constexpr const char* kSettings[][2] = {
      {"NCCL_NET", "Socket"},     {"NCCL_NET_PLUGIN", "none"}, {"NCCL_IB_DISABLE", "1"},
      {"NCCL_P2P_DISABLE", "1"},  {"NCCL_SHM_DISABLE", "1"},   {"NCCL_CUMEM_ENABLE", "0"},
      {"NCCL_MNNVL_ENABLE", "0"}, {"NCCL_NVLS_ENABLE", "0"},   {"NCCL_RAS_ENABLE", "0"},
      {"NCCL_ALGO", "Ring"},      {"NCCL_PROTO", "Simple"},    {"NCCL_MAX_CTAS", "2"},
  };
  for (const auto& [name, value] : kSettings) setenv(name, value, 0);
}

}  // namespace

std::unique_ptr<Bootstrap> make_nccl_bootstrap(Bootstrap& host, NcclApi api, bool share_gpus,
                                               const CommOptions& options) {
  if (share_gpus) pose_as_hosts(host);
  // The order of calls in the program is the order of launches, of all groups of a device together;
  // NCCL reads it once, before its first group.
  setenv("NCCL_LAUNCH_ORDER_IMPLICIT", "1", 0);
  return std::make_unique<NcclBootstrap>(host, std::move(api), options);
}

}  // namespace weft
