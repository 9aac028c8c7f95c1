// Configurations: the text of a YAML file, and of an override.
#include <string>

#include "launch/config/config_file.h"
#include "launch/config/cross_check.h"
#include "launch/config/reader.h"
#include "launch/config/yaml_tree.h"
#include "tests/fuzz/fuzz_target.h"

namespace weft {
namespace {

// What is read without a complaint lies in its ranges, so that checks between keys can count on it.
void read(const std::string& text) {
  const ConfigText checked = check_config_text(text);
  if (!checked.problem.empty()) return;
  const YamlDocument document = parse_yaml(checked.text);
  RunConfig config;
  ConfigReader reader(config);
  reader.read_document(document.root, "fuzz");
  for (const std::string& line : reader.lines()) {
    require(line.find('\n') == std::string::npos, "a message of several lines");
  }
  if (reader.lines().empty() && config.model.layers <= 1000) cross_check(config, 4);
}

}  // namespace
}  // namespace weft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  weft::read(text);
  weft::RunConfig config;
  weft::ConfigReader reader(config);
  reader.read_override(text, "fuzz");
  return 0;
}
