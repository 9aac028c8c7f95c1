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
  void barrier() override { host_.barrier(); }
  std::string broadcast(const std::string& text, int root) override {
    return host_.broadcast(text, root);
  }
  std::vector<std::string> all_gather(const std::string& text) override {
    return host_.all_gather(text);
  }

  std::unique_ptr<Communicator> split(int color, int key, const std::string& axis) override {
    std::vector<ColorClaim> claims;
    for (const std::string& text : host_.all_gather(fmt::format("{} {}", color, key))) {
      const size_t space = text.find(' ');
      claims.push_back({std::stoi(text.substr(0, space)), std::stoi(text.substr(space + 1))});
    }
    const std::vector<int> members = color_group(claims, rank());
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

}  // namespace

std::unique_ptr<Bootstrap> make_nccl_bootstrap(Bootstrap& host, NcclApi api,
                                               const CommOptions& options) {
  // The order of calls in the program is the order of launches, of all groups of a device together;
  // NCCL reads it once, before its first group.
  setenv("NCCL_LAUNCH_ORDER_IMPLICIT", "1", 0);
  return std::make_unique<NcclBootstrap>(host, std::move(api), options);
}

}  // namespace weft
