#include "core/model/gpt_specs.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

namespace weft {
namespace {

// Each size is another number, so that a shape can be read back as words.
GptConfig config(bool tied) {
  GptConfig c;
  c.vocab_size = 101;
  c.context_length = 7;
  c.layers = 1;
  c.heads = 2;
  c.width = 6;
  c.mlp_width = 11;
  c.tied_head = tied;
  return c;
}

std::string word(int64_t size) {
  static const std::map<int64_t, std::string> kWords{
      {101, "vocabulary"}, {7, "context"}, {6, "width"}, {11, "mlp"}};
  return kWords.at(size);
}

std::string tensor_name(const Part& part) {
  return part.name.starts_with("h.0.") ? "h.N." + part.name.substr(4) : part.name;
}

std::string cut(const ParamSpec& spec) {
  if (spec.place.splits.empty()) return "replica";
  const Split& split = spec.place.splits.front();
  const char* dim = split.dim == 1 ? "columns" : "rows";
  return split.unit > 1 ? fmt::format("{}, whole heads", dim) : dim;
}

std::string units(const ParamSpec& spec) {
  std::vector<std::string> names;
  for (const int64_t unit : spec.units) {
    names.push_back(unit == 0 ? "embedding" : unit == 1 ? "block N" : "head");
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string row(const ParamSpec& spec, const Part& part) {
  std::string shape = word(part.rows);
  if (spec.shape.rank() == 2) shape += ", " + word(spec.shape[1]);
  const bool partial = spec.place.grad_partial.contains(Axis::tp);
  return fmt::format("| `{}` | [{}] | {} | {} | {} | {} |", tensor_name(part), shape, cut(spec),
                     partial ? "a part, summed" : "complete", spec.decay ? "yes" : "no",
                     units(spec));
}

std::string table() {
  std::string text =
      "| tensor | shape | tp | gradient over tp | decay | used by |\n|---|---|---|---|---|---|\n";
  for (const ParamSpec& spec : gpt_specs(config(true))) {
    for (const Part& part : parts_of(spec)) text += row(spec, part) + "\n";
  }
  const std::vector<ParamSpec> untied = gpt_specs(config(false));
  return text + row(untied.back(), parts_of(untied.back()).front()) + "\n";
}

TEST(GptSpecs, AreTheTableOfTheDocumentation) {
  std::ifstream file(WEFT_SOURCE_DIR "/docs/placement.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_NE(text.str().find(table()), std::string::npos)
      << "docs/placement.md should have this table:\n"
      << table();
}

TEST(GptSpecs, CountTheProductsOfEachUnit) {
  for (const bool tied : {true, false}) {
    const std::vector<ParamSpec> specs = gpt_specs(config(tied));
    EXPECT_EQ(products_per_token(specs, 0), 0) << "the embedding is looked up";
    EXPECT_EQ(products_per_token(specs, 1), 4 * 6 * 6 + 2 * 6 * 11);
    EXPECT_EQ(products_per_token(specs, 2), 101 * 6);
  }
}

}  // namespace
}  // namespace weft
