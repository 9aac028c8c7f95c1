// Checkpoint manifests: as they are, and as the content of a frame whose digest holds, which is
// what the checks behind the digest are for.
#include <string_view>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/checkpoint/manifest.h"
#include "tests/fuzz/fuzz_target.h"

namespace weft {
namespace {

std::string framed(std::string_view content) {
  const std::string head = "{\"weft_checkpoint\": 1, \"digest\": \"";
  std::string text = head + std::string(size_t{kDigestDigits}, '0') + "\", \"manifest\":\n" +
                     std::string(content) + "\n}\n";
  return text.replace(head.size(), size_t{kDigestDigits}, to_string(digest_of(text)));
}

// What is accepted is written and read back as the same.
void parse(const std::string& text) {
  try {
    const std::string written = write_manifest(parse_manifest(text, "fuzz"));
    require(write_manifest(parse_manifest(written, "fuzz")) == written, "another manifest");
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::input, error.what());
  }
}

}  // namespace
}  // namespace weft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  weft::parse(std::string(input));
  weft::parse(weft::framed(input));
  return 0;
}
