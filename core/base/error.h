// Errors: what went wrong, with the numbers and the fix, and the exit code it ends the program
// with.
//
// Policy: whoever detects a problem throws Error; nobody catches but main (prints one message,
// returns the exit code) and the places that turn a peer's failure into an agreed decision.
// WEFT_CHECK is for our own bugs, never for bad input.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace weft {

// The kind decides the exit code (docs/exit_codes.md).
enum class ErrorKind {
  internal,  // a bug of ours: a WEFT_CHECK failed
  usage,     // a command line that does not parse
  config,    // a configuration that cannot run
  input,     // a data, tokenizer, checkpoint or text file that is damaged or not what it should be
  environment,  // the machine lacks something: library, memory, disk, permission, rank count
  io,           // an operation on a file failed that may succeed when tried again
  diverged,     // training produced a loss or gradient that is not finite
  peer,         // another rank failed, disagrees, or did not answer in time
};

// Exit code of the program for an error of this kind: usage, config, input -> 2, internal -> 70,
// environment -> 3, io -> 4, peer -> 5, diverged -> 6.
int exit_code(ErrorKind kind);
std::string_view name(ErrorKind kind);

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

// Throws Error{kind} with a message formatted as by fmt::format.
template <typename... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> text, Args&&... args) {
  throw Error(kind, fmt::format(text, std::forward<Args>(args)...));
}

namespace detail {
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& message);
}  // namespace detail

}  // namespace weft

// WEFT_CHECK(condition, "format {}", args...): a broken promise of our own code.
#define WEFT_CHECK(condition, ...)                                                              \
  do {                                                                                          \
    if (!(condition)) [[unlikely]] {                                                            \
      ::weft::detail::check_failed(__FILE__, __LINE__, #condition, ::fmt::format(__VA_ARGS__)); \
    }                                                                                           \
  } while (false)
