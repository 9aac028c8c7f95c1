#include "parallel/comm/local/local_world.h"

#include <fmt/format.h>

#include <numeric>
#include <utility>

#include "parallel/comm/local/local_group.h"

namespace weft {
namespace {

std::vector<int> first_ranks(int size) {
  std::vector<int> ranks(static_cast<size_t>(size));
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

bool is_consequence(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const ReleasedError&) {
    return true;
  } catch (...) {
    return false;
  }
}

}  // namespace

LocalWorld::LocalWorld(int size, const CommOptions& options)
    : texts(static_cast<size_t>(size)),
      new_groups(static_cast<size_t>(size)),
      patience_(options.deadline),
      ended_(static_cast<size_t>(size)),
      group_(std::make_unique<LocalGroup>(*this, first_ranks(size), "bootstrap")) {}

LocalWorld::~LocalWorld() = default;

void LocalWorld::fail(int rank, std::exception_ptr error, const std::string& message) {
  const std::lock_guard lock(mutex_);
  if (error_ != nullptr && (!is_consequence(error_) || is_consequence(error))) return;
  error_ = std::move(error);
  failure_ = fmt::format("rank {} failed: {}", rank, message);
  failed_.store(true, std::memory_order_release);
}

std::string LocalWorld::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

std::exception_ptr LocalWorld::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

}  // namespace weft
