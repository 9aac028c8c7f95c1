#include "core/base/error.h"

namespace weft {

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
    case ErrorKind::config:
    case ErrorKind::input:
      return 2;
    case ErrorKind::environment:
      return 3;
    case ErrorKind::io:
      return 4;
    case ErrorKind::peer:
      return 5;
    case ErrorKind::diverged:
      return 6;
    case ErrorKind::internal:
      return 70;
  }
  return 70;
}

std::string_view name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::internal:
      return "internal error";
    case ErrorKind::usage:
      return "usage error";
    case ErrorKind::config:
      return "config error";
    case ErrorKind::input:
      return "input error";
    case ErrorKind::environment:
      return "environment error";
    case ErrorKind::io:
      return "i/o error";
    case ErrorKind::diverged:
      return "training diverged";
    case ErrorKind::peer:
      return "peer error";
  }
  return "error";
}

namespace detail {

void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  fail(ErrorKind::internal, "{}:{}: {} (check '{}' failed); this is a bug in weft", file, line,
       message, condition);
}

}  // namespace detail
}  // namespace weft
