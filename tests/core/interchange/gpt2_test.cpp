// Configurations, layouts and model files of GPT-2 as other programs have them.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

#include "core/base/error.h"
#include "core/interchange/gpt2_config.h"
#include "core/interchange/gpt2_layout.h"
#include "core/interchange/llmc_model.h"
#include "core/model/gpt_specs.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

GptConfig small() {
  GptConfig c;
  c.vocab_size = 5;
  c.context_length = 3;
  c.layers = 2;
  c.heads = 2;
  c.width = 4;
  return c;
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Gpt2Layout, HasHuggingFacesNamesAndShapes) {
  std::map<std::string, Gpt2Tensor> tensors;
  for (const Gpt2Tensor& t : gpt2_tensors(small())) tensors.emplace(t.name, t);
  EXPECT_EQ(tensors.size(), 2u + 2 * 12 + 2);
  EXPECT_THAT(tensors.at("wte.weight").shape, ElementsAre(5, 4));
  EXPECT_THAT(tensors.at("wpe.weight").shape, ElementsAre(3, 4));
  struct Matrix {
    std::string name;
    int64_t in, out;
  };
  for (const Matrix& m : {Matrix{"h.1.attn.c_attn", 4, 12}, Matrix{"h.1.attn.c_proj", 4, 4},
                          Matrix{"h.1.mlp.c_fc", 4, 16}, Matrix{"h.1.mlp.c_proj", 16, 4}}) {
    EXPECT_THAT(tensors.at(m.name + ".weight").shape, ElementsAre(m.in, m.out)) << m.name;
    EXPECT_TRUE(tensors.at(m.name + ".weight").transposed) << m.name;
    EXPECT_THAT(tensors.at(m.name + ".bias").shape, ElementsAre(m.out)) << m.name;
    EXPECT_FALSE(tensors.at(m.name + ".bias").transposed) << m.name;
  }
  for (const char* name : {"h.0.ln_1.weight", "h.0.ln_2.bias", "ln_f.weight", "ln_f.bias"}) {
    EXPECT_THAT(tensors.at(name).shape, ElementsAre(4)) << name;
  }
  GptConfig untied = small();
  untied.tied_head = false;
  EXPECT_EQ(gpt2_tensors(untied).back().name, "lm_head.weight");
}

TEST(Gpt2Layout, TransposesEveryElement) {
  constexpr int64_t kRows = 37, kColumns = 70;
  std::vector<float> in(kRows * kColumns), out(in.size()), back(in.size());
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i);
  transpose(in.data(), kRows, kColumns, out.data());
  EXPECT_EQ(out[5 * kRows + 3], in[3 * kColumns + 5]);
  transpose(out.data(), kColumns, kRows, back.data());
  EXPECT_EQ(back, in);
}

TEST(Gpt2Config, ReadsWhatItWrites) {
  GptConfig c = small();
  c.mlp_width = 10;
  c.activation = GptConfig::Activation::gelu;
  c.tied_head = false;
  c.dropout = 0.25;
  c.norm_eps = 1e-6;
  const GptConfig again = parse_gpt2_config(gpt2_config_json(c), "c");
  EXPECT_EQ(gpt2_config_json(again), gpt2_config_json(c));
  EXPECT_EQ(again.mlp(), 10);
  EXPECT_EQ(again.activation, GptConfig::Activation::gelu);
  EXPECT_FALSE(again.tied_head);
}

TEST(Gpt2Config, ReadsTheConfigOfGpt2) {
  const GptConfig c = parse_gpt2_config(
      R"({"activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"],
          "attn_pdrop": 0.1, "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256,
          "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "model_type": "gpt2",
          "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024,
          "resid_pdrop": 0.1, "summary_type": "cls_index", "vocab_size": 50257})",
      "c");
  EXPECT_EQ(parameter_count(c), 124439808);
  EXPECT_EQ(c.dropout, 0.1);
  EXPECT_TRUE(c.tied_head && c.bias);
}

TEST(Gpt2Config, RefusesWhatComputesSomethingElse) {
  const auto with = [](const std::string& more) {
    return error_of([&] {
      parse_gpt2_config(R"({"vocab_size":5,"n_layer":1,"n_head":1,"n_embd":4)" + more + "}", "c");
    });
  };
  EXPECT_EQ(with(""), "");
  EXPECT_THAT(with(R"(,"model_type":"llama")"), HasSubstr("model_type is \"llama\""));
  EXPECT_THAT(with(R"(,"activation_function":"silu")"), HasSubstr("gelu_new, gelu and relu"));
  EXPECT_THAT(with(R"(,"scale_attn_weights":false)"), HasSubstr("weft computes true"));
  EXPECT_THAT(with(R"(,"scale_attn_by_inverse_layer_idx":true)"), HasSubstr("weft computes false"));
  EXPECT_THAT(with(R"(,"n_inner":-1)"), HasSubstr("n_inner is -1"));
  EXPECT_THAT(with(R"(,"n_layer":2)"), HasSubstr("there twice"));
  EXPECT_THAT(with(R"(,"layer_norm_epsilon":"x")"), HasSubstr("layer_norm_epsilon"));
  EXPECT_THAT(error_of([] { parse_gpt2_config("[]", "c"); }), HasSubstr("no JSON object"));
  EXPECT_THAT(error_of([] { parse_gpt2_config(R"({"n_layer":1})", "c"); }), HasSubstr("lacks"));
  EXPECT_THAT(error_of([] { parse_gpt2_config(R"({"vocab_size":1e9})", "c"); }),
              HasSubstr("an integer"));
  GptConfig c = small();
  c.bias = false;
  EXPECT_THAT(error_of([&] { gpt2_config_json(c); }), HasSubstr("model.bias"));
  c = small();
  c.position = GptConfig::Position::sinusoidal;
  EXPECT_THAT(error_of([&] { gpt2_config_json(c); }), HasSubstr("model.position"));
}

// llm.c's file of small(), vocabulary padded to 8; element i of the data is i.
class LlmcFile : public ::testing::Test {
 protected:
  static constexpr int64_t kLayer = 4 + 4 + 48 + 12 + 16 + 4 + 4 + 4 + 64 + 16 + 64 + 4;
  static constexpr int64_t kElements = 8 * 4 + 3 * 4 + 2 * kLayer + 4 + 4;

  LlmcFile() : path_(::testing::TempDir() + "llmc" + std::to_string(::getpid())) {}
  ~LlmcFile() override { std::filesystem::remove(path_); }

  std::string write(std::vector<int32_t> head, int64_t elements, bool bf16 = false) const {
    head.resize(256);
    std::ofstream file(path_, std::ios::binary);
    file.write(reinterpret_cast<const char*>(head.data()), 1024);
    for (int64_t i = 0; i < elements; ++i) {
      const auto value = static_cast<float>(i);
      const char* bytes = reinterpret_cast<const char*>(&value);
      file.write(bf16 ? bytes + 2 : bytes, bf16 ? 2 : 4);
    }
    return path_;
  }
  std::string refusal(const std::vector<int32_t>& head, int64_t elements) const {
    return error_of([&] { LlmcModel::open(write(head, elements)); });
  }
  static ParamSpec spec(const std::string& name) {
    for (const Gpt2Tensor& t : gpt2_tensors(small())) {
      if (t.spec.name == name) return t.spec;
    }
    ADD_FAILURE() << name;
    return {};
  }

 private:
  std::string path_;
};

TEST_F(LlmcFile, HasEachKindForAllLayers) {
  const LlmcModel model = LlmcModel::open(write({20240326, 3, 3, 5, 2, 2, 4, 8}, kElements));
  EXPECT_EQ(model.config().layers, 2);
  EXPECT_EQ(model.config().vocab_size, 5);
  EXPECT_THAT(model.read(spec("wte.weight")), ::testing::SizeIs(20));
  EXPECT_EQ(model.read(spec("wpe.weight")).front(), 8 * 4);  // behind the padded rows
  EXPECT_THAT(model.read(spec("h.0.ln_1.weight")), ElementsAre(44, 45, 46, 47));
  EXPECT_THAT(model.read(spec("h.1.ln_1.weight")), ElementsAre(48, 49, 50, 51));
  EXPECT_THAT(model.read(spec("h.0.ln_1.bias")), ElementsAre(52, 53, 54, 55));
  EXPECT_EQ(model.read(spec("h.0.attn.qkv.weight")).front(), 60);
  EXPECT_EQ(model.read(spec("h.1.attn.qkv.weight")).front(), 60 + 48);
  EXPECT_EQ(model.read(spec("ln_f.bias")).back(), kElements - 1);
}

TEST_F(LlmcFile, MayBeBf16) {
  const auto path = write({20240326, 5, 3, 5, 2, 2, 4, 8}, kElements, true);
  const LlmcModel model = LlmcModel::open(path);
  EXPECT_THAT(model.read(spec("h.0.ln_1.weight")), ElementsAre(44, 45, 46, 47));
}

TEST_F(LlmcFile, ThatIsDamagedIsRefused) {
  EXPECT_THAT(refusal({20240327, 3, 3, 5, 2, 2, 4, 8}, kElements), HasSubstr("begins with"));
  EXPECT_THAT(refusal({20240326, 2, 3, 5, 2, 2, 4, 8}, kElements), HasSubstr("version 2"));
  EXPECT_THAT(refusal({20240326, 3, 0, 5, 2, 2, 4, 8}, kElements), HasSubstr("longest sequence"));
  EXPECT_THAT(refusal({20240326, 3, 3, 5, -1, 2, 4, 8}, kElements), HasSubstr("layers is -1"));
  EXPECT_THAT(refusal({20240326, 3, 3, 9, 2, 2, 4, 8}, kElements), HasSubstr("padded to 8"));
  EXPECT_THAT(refusal({20240326, 3, 3, 5, 2, 3, 4, 8}, kElements), HasSubstr("3 heads"));
  EXPECT_THAT(refusal({20240326, 3, 3, 5, 2, 2, 4, 8}, kElements - 1), HasSubstr("cut short"));
  EXPECT_THAT(refusal({20240326, 3, 3, 5, 2, 2, 4, 8}, kElements + 1), HasSubstr("promises"));
  EXPECT_THAT(refusal({20240326, 3, 1 << 20, 2147483647, 10000, 2, 1 << 18, 2147483647}, 1),
              HasSubstr("cut short"));
}

}  // namespace
}  // namespace weft
