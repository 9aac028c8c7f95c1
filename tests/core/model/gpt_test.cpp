#include "core/model/gpt.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "core/model/gpt_specs.h"
#include "tests/core/model/small_gpt.h"

namespace weft {
namespace {

GptConfig config() {
  GptConfig c;
  c.vocab_size = 13;
  c.context_length = 8;
  c.layers = 2;
  c.heads = 2;
  c.width = 8;
  c.init_std = 0.3;  // large enough that every path carries signal
  return c;
}

struct Variant {
  const char* name;
  void (*change)(GptConfig&);
};
void PrintTo(const Variant& v, std::ostream* out) { *out << v.name; }

const Variant kVariants[] = {
    {"gpt2", [](GptConfig&) {}},
    {"untied_no_bias",
     [](GptConfig& c) {
       c.tied_head = false;
       c.bias = false;
     }},
    {"sinusoidal_relu",
     [](GptConfig& c) {
       c.position = GptConfig::Position::sinusoidal;
       c.activation = GptConfig::Activation::relu;
     }},
    {"gelu_dropout",
     [](GptConfig& c) {
       c.activation = GptConfig::Activation::gelu;
       c.dropout = 0.3;
     }},
};

class GptGradient : public testing::TestWithParam<Variant> {};

// Central differences with step h are off by h^2 f'''/6 + eps |f| / h: with h = 1e-5, f about 30
// and f''' of order 10 that is 2e-10 + 7e-10. The bound leaves a factor of 50 for the sums in
// between.
TEST_P(GptGradient, MatchesFiniteDifferences) {
  GptConfig c = config();
  GetParam().change(c);
  SmallGpt gpt(c, DType::f64);
  gpt.forward_backward();
  constexpr double kStep = 1e-5;
  constexpr double kBound = 5e-8;
  std::vector<std::vector<double>> grads;
  for (const auto& p : gpt.parameters) {
    const double* grad = p->grad.data<double>();
    grads.emplace_back(grad, grad + p->grad.elements());
  }
  for (size_t i = 0; i < gpt.parameters.size(); ++i) {
    Parameter& p = gpt.parameters[i];
    for (int64_t e = 0; e < p.value.elements(); e += std::max<int64_t>(1, p.value.elements() / 7)) {
      double& w = p.value.data<double>()[e];
      const double at = w;
      w = at + kStep;
      const double above = gpt.forward_backward();
      w = at - kStep;
      const double below = gpt.forward_backward();
      w = at;
      EXPECT_NEAR(grads[i][static_cast<size_t>(e)], (above - below) / (2 * kStep), kBound)
          << p.spec.name << "[" << e << "]";
    }
  }
  EXPECT_TRUE(gpt.saved.empty());
}

TEST_P(GptGradient, DeferredWeightGradientsAreBitwiseTheSame) {
  GptConfig c = config();
  GetParam().change(c);
  SmallGpt at_once(c, DType::f32), deferred(c, DType::f32);
  const double loss = at_once.forward_backward();
  EXPECT_EQ(loss, deferred.forward_backward(true));
  for (size_t i = 0; i < at_once.parameters.size(); ++i) {
    const Tensor a = at_once.parameters[i].grad;
    const Tensor b = deferred.parameters[i].grad;
    EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.bytes()), 0) << at_once.parameters[i].spec.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Gpt, GptGradient, testing::ValuesIn(kVariants),
                         [](const auto& variant) { return std::string(variant.param.name); });

TEST(Gpt, RegistersAsManyElementsAsItsConfigCounts) {
  for (const Variant& v : kVariants) {
    GptConfig c = config();
    v.change(c);
    ParameterSet set(MeshShape{}, MeshCoord{});
    const Gpt model(c, GptPartition::whole(c.layers), set);
    EXPECT_EQ(set.global_elements(), parameter_count(c)) << v.name;
  }
}

TEST(Gpt, StartsNearTheUniformLoss) {
  GptConfig c = config();
  c.init_std = 0.02;
  SmallGpt gpt(c, DType::f32);
  EXPECT_NEAR(gpt.forward_backward() / (SmallGpt::kBatch * SmallGpt::kLength), std::log(13.0),
              0.05);
}

TEST(Gpt, TrainingAndEvaluationAgreeOnTheLoss) {
  SmallGpt gpt(config(), DType::f32);
  const double training = gpt.forward_backward();
  *gpt.loss_sum.data<double>() = 0;
  Context ctx = gpt.context();
  gpt.model.evaluate(0, gpt.batch(), {}, gpt.saved, ctx);
  EXPECT_EQ(training, *gpt.loss_sum.data<double>());
}

class Recorder final : public GradientListener {
 public:
  void gradient_ready(Parameter& parameter, Stream&) override { order.push_back(parameter.index); }
  std::vector<size_t> order;
};

// A tied table becomes ready twice: first in the head, the last parameter to be used.
TEST(Gpt, GradientsBecomeReadyInReverseOrderOfRegistration) {
  for (const Variant& v : kVariants) {
    GptConfig c = config();
    v.change(c);
    SmallGpt gpt(c, DType::f32);
    Recorder recorder;
    gpt.forward_backward(false, &recorder);
    std::vector<size_t> expected;
    for (size_t i = gpt.parameters.size(); i-- > 0;) expected.push_back(i);
    if (c.tied_head) expected.insert(expected.begin(), gpt.parameters.at("wte.weight").index);
    EXPECT_EQ(recorder.order, expected) << v.name;
    EXPECT_EQ(gpt.parameters.at("wte.weight").uses, c.tied_head ? 2 : 1) << v.name;
  }
}

// The convention's own example (nanoGPT's sizing notebook, which counts no biases): GPT-2 124M at
// T = 1024 needs 875,062,886,400 operations per sequence.
TEST(Gpt, CountsOperationsAsPalmDoes) {
  GptConfig c;
  c.vocab_size = 50257;
  c.bias = false;
  EXPECT_EQ(flops_per_token(c, 1024) * 1024, 875062886400.0);
}

}  // namespace
}  // namespace weft
