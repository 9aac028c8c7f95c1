#include "core/model/gpt_parameters.h"

#include <cmath>
#include <optional>

namespace weft {
namespace {

// GPT-2's rules: weights normal(0, init_std), the two projections into the residual stream shrunk
// by 1/sqrt(2 layers), biases zero, norm weights one; matrices decay, vectors do not.
class Registrar {
 public:
  Registrar(const GptConfig& config, const PlacementRule& rule, const GptPartition& partition,
            ParameterSet& set)
      : config_(config), rule_(rule), partition_(partition), set_(set) {}

  // What is registered from here on belongs to `unit`, and to `other` as well if that is given.
  void begin_unit(int64_t unit, std::optional<int64_t> other = {}) {
    unit_ = unit;
    stages_ = {partition_.stage_of_unit(unit)};
    if (!other) return;
    const int stage = partition_.stage_of_unit(*other);
    if (stage != stages_.front()) stages_.push_back(stage);
  }

  Parameter* matrix(const std::string& prefix, const Role& role, Shape shape, double stddev,
                    std::vector<Part> parts = {}) {
    return add(prefix, role, shape, {Init::Kind::normal, stddev}, true, std::move(parts));
  }
  Parameter* bias(const std::string& prefix, const Role& role, int64_t size,
                  std::vector<Part> parts = {}) {
    if (!config_.bias) return nullptr;
    return add(prefix, role, {size}, {Init::Kind::zeros}, false, std::move(parts));
  }
  Parameter* norm(const std::string& prefix, const std::string& name) {
    return add(prefix, {name + ".weight", {}, 1}, {config_.width}, {Init::Kind::ones}, false, {});
  }

 private:
  Parameter* add(const std::string& prefix, const Role& role, Shape shape, Init init, bool decay,
                 std::vector<Part> parts) {
    return set_.add({.name = prefix + role.name,
                     .shape = shape,
                     .init = init,
                     .decay = decay,
                     .place = rule_(role),
                     .stages = stages_,
                     .unit = unit_,
                     .parts = std::move(parts)});
  }

  const GptConfig& config_;
  const PlacementRule& rule_;
  const GptPartition& partition_;
  ParameterSet& set_;
  int64_t unit_ = 0;
  std::vector<int> stages_;
};

GptParameters::Layer add_layer(Registrar& r, const GptConfig& c, int64_t index) {
  r.begin_unit(index + 1);
  const std::string h = "h." + std::to_string(index) + ".";
  const double std_residual = c.init_std / std::sqrt(2.0 * static_cast<double>(c.layers));
  const int64_t inner = c.heads * c.head_dim();
  const std::vector<int64_t> qkv(3, inner);
  const auto parts = [&](const std::string& kind) {
    return std::vector<Part>{{h + "attn.q." + kind, inner},
                             {h + "attn.k." + kind, inner},
                             {h + "attn.v." + kind, inner}};
  };
  GptParameters::Layer l{};
  l.norm_1_weight = r.norm(h, "ln_1");
  l.norm_1_bias = r.bias(h, {"ln_1.bias", {}, 1}, c.width);
  l.qkv_weight = r.matrix(h, {"attn.qkv.weight", qkv, c.head_dim()}, {3 * inner, c.width},
                          c.init_std, parts("weight"));
  l.qkv_bias = r.bias(h, {"attn.qkv.bias", qkv, c.head_dim()}, 3 * inner, parts("bias"));
  l.projection_weight =
      r.matrix(h, {"attn.projection.weight", {}, c.head_dim()}, {c.width, inner}, std_residual);
  l.projection_bias = r.bias(h, {"attn.projection.bias", {}, 1}, c.width);
  l.norm_2_weight = r.norm(h, "ln_2");
  l.norm_2_bias = r.bias(h, {"ln_2.bias", {}, 1}, c.width);
  l.up_weight = r.matrix(h, {"mlp.up.weight", {}, 1}, {c.mlp(), c.width}, c.init_std);
  l.up_bias = r.bias(h, {"mlp.up.bias", {}, 1}, c.mlp());
  l.down_weight = r.matrix(h, {"mlp.down.weight", {}, 1}, {c.width, c.mlp()}, std_residual);
  l.down_bias = r.bias(h, {"mlp.down.bias", {}, 1}, c.width);
  return l;
}

}  // namespace

PlacementRule replicate() {
  return [](const Role&) { return Placement{}; };
}

Parameter* GptParameters::tied_head(const GptPartition& partition, ParameterSet& set) const {
  const int stage = set.coord().pp;
  const int64_t unit = partition.head_unit();
  if (partition.stage_of_unit(unit) != stage) return tokens;
  if (partition.stage_of_unit(0) != stage) {
    tokens->unit = unit;
    return tokens;
  }
  return set.sharding().separates_aliases() ? set.add_alias(*tokens, unit) : tokens;
}

GptParameters::GptParameters(const GptConfig& config, const PlacementRule& rule,
                             const GptPartition& partition, ParameterSet& set) {
  WEFT_CHECK(config.vocab_size, "the vocabulary size must be known before the model is built");
  WEFT_CHECK(partition.head_unit() == config.layers + 1, "a partition of {} blocks for {} layers",
             partition.head_unit() - 1, config.layers);
  Registrar r(config, rule, partition, set);
  const Shape table{*config.vocab_size, config.width};
  const int64_t head_unit = partition.head_unit();
  r.begin_unit(0, config.tied_head ? std::optional(head_unit) : std::nullopt);
  tokens = r.matrix("", {"wte.weight", {}, 1}, table, config.init_std);
  r.begin_unit(0);
  if (config.position == GptConfig::Position::learned) {
    positions =
        r.matrix("", {"wpe.weight", {}, 1}, {config.context_length, config.width}, config.init_std);
  }
  for (int64_t i = 0; i < config.layers; ++i) layers.push_back(add_layer(r, config, i));
  r.begin_unit(head_unit);
  final_norm_weight = r.norm("", "ln_f");
  final_norm_bias = r.bias("", {"ln_f.bias", {}, 1}, config.width);
  head = config.tied_head ? tied_head(partition, set)
                          : r.matrix("", {"lm_head.weight", {}, 1}, table, config.init_std);
}

std::vector<std::vector<std::string>> tensor_names(const GptConfig& config) {
  GptConfig any_vocabulary = config;
  any_vocabulary.vocab_size = config.vocab_size.value_or(1);
  ParameterSet set({}, {});
  const GptParameters registered(any_vocabulary, replicate(), GptPartition::whole(config.layers),
                                 set);
  std::vector<std::vector<std::string>> names;
  for (const auto& p : set) {
    names.emplace_back();
    for (const Part& part : p->spec.parts) names.back().push_back(part.name);
    if (names.back().empty()) names.back().push_back(p->spec.name);
  }
  return names;
}

}  // namespace weft
