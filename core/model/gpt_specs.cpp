#include "core/model/gpt_specs.h"

#include <cmath>
#include <utility>

#include "core/base/error.h"

namespace weft {
namespace {

// Writes the list; `name` of each layer is without ".weight" and ".bias".
class SpecList {
 public:
  explicit SpecList(const GptConfig& config) : config_(config) {}

  // What is added from here on belongs to these units.
  void begin(std::vector<int64_t> units) { units_ = std::move(units); }

  // A matrix [rows, columns] that is looked up or multiplied.
  void table(const std::string& name, Cut cut, int64_t rows, int64_t columns) {
    add(name + ".weight", cut, {rows, columns}, normal(config_.init_std), true, {});
    specs_.back().table = true;
  }
  // A weight [out, in] and, if the model has them, its bias [out].
  struct Linear {
    int64_t out, in;
    double stddev;
    int64_t unit = 1;                                       // of the cut: a head is never parted
    std::vector<std::pair<std::string, int64_t>> segments;  // names and rows of a fused matrix
  };
  void linear(const std::string& name, Cut cut, const Linear& l) {
    add(name + ".weight", cut, {l.out, l.in}, normal(l.stddev), true, l, ".weight");
    if (!config_.bias) return;
    // A bias behind a sum over ranks is added once, to what each rank has of the rows.
    const Cut bias = cut == Cut::out ? Cut::out : Cut::none;
    add(name + ".bias", bias, {l.out}, {Init::Kind::zeros}, false, l, ".bias");
  }
  void norm(const std::string& name) {
    add(name + ".weight", Cut::none_of_shared_rows, {config_.width}, {Init::Kind::ones}, false, {});
    if (!config_.bias) return;
    add(name + ".bias", Cut::none_of_shared_rows, {config_.width}, {Init::Kind::zeros}, false, {});
  }

  std::vector<ParamSpec> take() { return std::move(specs_); }

 private:
  static Init normal(double stddev) { return {Init::Kind::normal, stddev}; }

  void add(std::string name, Cut cut, Shape shape, Init init, bool decay, const Linear& l,
           const std::string& kind = {}) {
    std::vector<int64_t> rows;
    std::vector<Part> parts;
    for (const auto& [segment, size] : l.segments) {
      rows.push_back(size);
      parts.push_back({segment + kind, size});
    }
    specs_.push_back({.name = std::move(name),
                      .shape = shape,
                      .init = init,
                      .decay = decay,
                      .place = placement(cut, std::move(rows), l.unit),
                      .units = units_,
                      .parts = std::move(parts)});
  }

  const GptConfig& config_;
  std::vector<int64_t> units_;
  std::vector<ParamSpec> specs_;
};

void add_block(SpecList& list, const GptConfig& c, int64_t index) {
  list.begin({index + 1});
  const std::string h = "h." + std::to_string(index) + ".";
  const double std_residual = c.init_std / std::sqrt(2.0 * static_cast<double>(c.layers));
  const int64_t inner = c.heads * c.head_dim();
  list.norm(h + "ln_1");
  list.linear(h + "attn.qkv", Cut::out,
              {.out = 3 * inner,
               .in = c.width,
               .stddev = c.init_std,
               .unit = c.head_dim(),
               .segments = {{h + "attn.q", inner}, {h + "attn.k", inner}, {h + "attn.v", inner}}});
  list.linear(h + "attn.projection", Cut::in,
              {.out = c.width, .in = inner, .stddev = std_residual, .unit = c.head_dim()});
  list.norm(h + "ln_2");
  list.linear(h + "mlp.up", Cut::out, {.out = c.mlp(), .in = c.width, .stddev = c.init_std});
  list.linear(h + "mlp.down", Cut::in, {.out = c.width, .in = c.mlp(), .stddev = std_residual});
}

bool is_multiplied(const ParamSpec& spec, int64_t unit) {
  // The first unit only looks up; a table that the head has too is multiplied there.
  return spec.shape.rank() == 2 && unit != 0 && spec.units.back() == unit;
}

}  // namespace

std::vector<ParamSpec> gpt_specs(const GptConfig& c) {
  WEFT_CHECK(c.vocab_size, "the parameters of a model without a vocabulary size");
  const int64_t head_unit = c.layers + 1;
  SpecList list(c);
  list.begin(c.tied_head ? std::vector<int64_t>{0, head_unit} : std::vector<int64_t>{0});
  list.table("wte", Cut::rows, *c.vocab_size, c.width);
  list.begin({0});
  if (c.position == GptConfig::Position::learned) {
    list.table("wpe", Cut::none, c.context_length, c.width);
  }
  for (int64_t i = 0; i < c.layers; ++i) add_block(list, c, i);
  list.begin({head_unit});
  list.norm("ln_f");
  if (!c.tied_head) list.table("lm_head", Cut::rows, *c.vocab_size, c.width);
  return list.take();
}

int64_t parameter_count(const GptConfig& config) { return elements(gpt_specs(config)); }

double products_per_token(const std::vector<ParamSpec>& specs, int64_t unit) {
  double products = 0;
  for (const ParamSpec& spec : specs) {
    if (is_multiplied(spec, unit)) products += static_cast<double>(elements(spec));
  }
  return products;
}

double flops_per_token(const GptConfig& config, int64_t sequence_length) {
  int64_t n = 0;
  for (const ParamSpec& spec : gpt_specs(config)) {
    if (spec.units.back() != 0) n += elements(spec);
  }
  return 6.0 * static_cast<double>(n) +
         12.0 * static_cast<double>(config.layers * config.width * sequence_length);
}

std::vector<std::vector<std::string>> tensor_names(const GptConfig& config) {
  GptConfig any_vocabulary = config;
  any_vocabulary.vocab_size = config.vocab_size.value_or(1);
  std::vector<std::vector<std::string>> names;
  for (const ParamSpec& spec : gpt_specs(any_vocabulary)) {
    names.emplace_back();
    for (const Part& part : parts_of(spec)) names.back().push_back(part.name);
  }
  return names;
}

}  // namespace weft
