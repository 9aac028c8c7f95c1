#include "launch/train/one_program.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/host_name.h"
#include "launch/host/version.h"
#include "launch/train/prepare_run.h"

namespace weft {
namespace {

constexpr char kBetween = '\n';

RankProgram parse(const std::string& text) {
  const size_t end = std::min(text.find(kBetween), text.size());
  return {text.substr(0, end), text.substr(std::min(end + 1, text.size()))};
}

}  // namespace

void require_same(const std::vector<RankProgram>& programs) {
  const RankProgram& first = programs.front();
  for (size_t rank = 1; rank < programs.size(); ++rank) {
    const RankProgram& other = programs[rank];
    if (other.version == first.version) continue;
    fail(ErrorKind::environment,
         "rank {} on {} runs weft {}, rank 0 on {} runs weft {}; install one build on all hosts",
         rank, other.host, other.version, first.host, first.version);
  }
}

int require_one_program(Bootstrap& bootstrap) {
  std::string mine = host_name() + kBetween;
  mine += version();
  std::vector<RankProgram> programs;
  for (const std::string& text : bootstrap.all_gather(mine)) programs.push_back(parse(text));
  return agree(bootstrap, [&] { require_same(programs); });
}

}  // namespace weft
