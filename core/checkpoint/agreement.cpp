#include "core/checkpoint/agreement.h"

#include <fmt/format.h>

#include "core/mesh/communicator.h"

namespace weft {
namespace {

// As one text: what is exchanged.
std::string pack(const Outcome& outcome) {
  if (outcome.error.empty()) return "+" + outcome.payload;
  return fmt::format("-{}{}", static_cast<char>('0' + static_cast<int>(outcome.kind)),
                     outcome.error);
}

// The payload; on every rank alike, the error in place of it.
std::string unpack(const std::string& text, int rank, int64_t step) {
  if (text.starts_with('+')) return text.substr(1);
  const auto kind = static_cast<ErrorKind>(text.at(1) - '0');
  fail(kind, "no checkpoint of step {}: rank {}: {}", step, rank, text.substr(2));
}

}  // namespace

Outcome attempt(const std::function<std::string()>& action) {
  Outcome outcome;
  try {
    outcome.payload = action();
  } catch (const Error& error) {
    outcome = {error.what(), error.kind(), ""};
  } catch (const std::exception& error) {
    outcome = {error.what(), ErrorKind::internal, ""};
  }
  return outcome;
}

std::vector<std::string> agree(const Outcome& mine, int64_t step, Bootstrap& bootstrap) {
  std::vector<std::string> all = bootstrap.all_gather(pack(mine));
  for (size_t rank = 0; rank < all.size(); ++rank) {
    all[rank] = unpack(all[rank], static_cast<int>(rank), step);
  }
  return all;
}

std::string agree_with_rank_zero(const Outcome& mine, int64_t step, Bootstrap& bootstrap) {
  return unpack(bootstrap.broadcast(pack(mine), 0), 0, step);
}

}  // namespace weft
