#include "core/model/gpt_config.h"

namespace weft {

void GptConfig::fields(FieldList& list) {
  list.key_auto("vocab_size", vocab_size, between(1, int64_t{1} << 31), "tokens",
                "the vocabulary of the training data", "Number of different token ids.");
  list.key("context_length", context_length, between(1, 1 << 20), "tokens",
           "Longest sequence the model can see; the number of learned positions.");
  list.key("layers", layers, between(1, 10000), "", "Number of transformer blocks.");
  list.key("heads", heads, between(1, 4096), "",
           "Attention heads of each block; must divide width.");
  list.key("width", width, between(1, 1 << 18), "", "Size of the residual stream.");
  list.key_auto("mlp_width", mlp_width, between(1, 1 << 20), "", "4 * width",
                "Size of the inner layer of each MLP.");
  list.key("position", position,
           "Position embedding: a learned table, or fixed sines and cosines.");
  list.key("norm_eps", norm_eps, above(0.0), "",
           "Added to the variance in every LayerNorm before the square root.");
  list.key("activation", activation,
           "Function between the two MLP matrices; gelu_tanh is GPT-2's approximation of gelu.");
  list.key("bias", bias, "Whether linear layers and LayerNorms have a bias.");
  list.key("tied_head", tied_head,
           "Whether the output head shares its weights with the token embedding.");
  list.key("dropout", dropout, at_least_below(0.0, 1.0), "",
           "Probability of dropping an element of embeddings, attention and residual branches.");
  list.key("init_std", init_std, above(0.0), "",
           "Standard deviation of initial weights; residual projections use "
           "init_std / sqrt(2 * layers).");
}

}  // namespace weft
