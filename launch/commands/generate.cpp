// weft generate: text from a checkpoint.
#include <cstdio>
#include <memory>

#include "data/tokenizer/utf8.h"
#include "launch/commands/commands.h"
#include "launch/generate/trained_model.h"

namespace weft {
namespace {

struct Arguments {
  std::string checkpoint;
  std::string prompt;
  std::string stop;
  std::string device;
  GenerationOptions options;
  bool no_cache = false;
  bool no_echo = false;
};

std::vector<TokenId> encode_prompt(const Tokenizer& tokenizer, const std::string& prompt) {
  std::vector<TokenId> ids;
  tokenizer.encode(prompt, true, ids);
  if (ids.empty() && tokenizer.end_of_text()) ids.push_back(*tokenizer.end_of_text());
  if (ids.empty()) {
    fail(ErrorKind::usage,
         "the prompt is empty and the tokenizer has no end-of-text token to start "
         "from; give --prompt at least one character");
  }
  return ids;
}

// --stop names one token; without it generation ends at the end-of-text token, if there is one.
std::optional<TokenId> stop_token(const Tokenizer& tokenizer, const std::string& text) {
  if (text.empty()) return tokenizer.end_of_text();
  std::vector<TokenId> ids;
  tokenizer.encode(text, true, ids);
  if (ids.size() != 1) {
    fail(ErrorKind::usage, "--stop '{}' is {} tokens of {}; a stop must be exactly one token", text,
         ids.size(), tokenizer.description());
  }
  return ids.front();
}

// A model may have more ids than its tokenizer has tokens, for the sake of round sizes.
std::vector<TokenId> ids_without_token(const Tokenizer& tokenizer, int64_t vocab_size) {
  std::vector<TokenId> ids;
  for (int64_t id = 0; id < vocab_size; ++id) {
    if (!tokenizer.has(static_cast<TokenId>(id))) ids.push_back(static_cast<TokenId>(id));
  }
  if (std::ssize(ids) < vocab_size) return ids;
  fail(ErrorKind::input, "{}: has none of the model's {} ids", tokenizer.description(), vocab_size);
}

// Whole characters at once: a terminal cannot show half of one.
class CharacterPrinter {
 public:
  explicit CharacterPrinter(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}
  ~CharacterPrinter() { print(pending_.size()); }

  void add(TokenId id) {
    tokenizer_.decode({&id, 1}, pending_);
    size_t whole = pending_.size();
    // A lead byte within the last three may still wait for its continuation.
    for (size_t back = 1; back <= std::min<size_t>(3, pending_.size()); ++back) {
      const auto byte = static_cast<unsigned char>(pending_[pending_.size() - back]);
      if (byte < 0x80) break;
      if (byte < 0xC0) continue;
      const size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
      if (length > back) whole = pending_.size() - back;
      break;
    }
    print(whole);
  }

 private:
  void print(size_t bytes) {
    std::fwrite(pending_.data(), 1, bytes, stdout);
    std::fflush(stdout);
    pending_.erase(0, bytes);
  }

  const Tokenizer& tokenizer_;
  std::string pending_;
};

void run(Arguments& args) {
  std::optional<DeviceKind> device;
  if (!args.device.empty()) {
    device = args.device == "cuda" ? DeviceKind::cuda : DeviceKind::cpu;
  }
  TrainedModel model = load_trained_model(args.checkpoint, device);
  for (const std::string& notice : model.notices) {
    std::fprintf(stderr, "notice: %s\n", notice.c_str());
  }
  if (model.tokenizer == nullptr) {
    fail(ErrorKind::input,
         "{} carries no tokenizer, because its data named none; prepare the data "
         "with weft prepare to generate text",
         model.path);
  }
  args.options.use_cache = !args.no_cache;
  args.options.never = ids_without_token(*model.tokenizer, *model.config.model.vocab_size);
  args.options.stop = stop_token(*model.tokenizer, args.stop);
  const std::vector<TokenId> ids = encode_prompt(*model.tokenizer, args.prompt);
  if (!args.no_echo) std::fwrite(args.prompt.data(), 1, args.prompt.size(), stdout);
  {
    CharacterPrinter printer(*model.tokenizer);
    model.generator->generate(ids, args.options, [&](TokenId id) { printer.add(id); });
  }
  std::fputc('\n', stdout);
}

}  // namespace

void add_generate_command(Command root, int&) {
  const Command app = root.subcommand("generate", "Continue a prompt with a trained model");
  auto args = std::make_shared<Arguments>();
  app.option("--checkpoint", args->checkpoint,
             "A checkpoint, or a directory of them (its newest intact one)")
      .path()
      .required();
  app.option("--prompt", args->prompt, "Text to continue");
  app.option("--tokens", args->options.max_tokens, "Tokens to generate at most")
      .positive()
      .show_default();
  app.option("--temperature", args->options.sampling.temperature, "Divides the logits; 0 is greedy")
      .show_default();
  app.option("--top-k", args->options.sampling.top_k, "Keep the k likeliest; 0 keeps all")
      .show_default();
  app.option("--top-p", args->options.sampling.top_p,
             "Keep the likeliest that hold this probability")
      .show_default();
  app.option("--seed", args->options.sampling.seed, "Of the sampling").show_default();
  app.option("--stop", args->stop, "One token that ends the text (default: end of text)");
  app.option("--device", args->device,
             "cpu or cuda (default: what the checkpoint's configuration names)")
      .one_of({"cpu", "cuda"});
  app.flag("--no-cache", args->no_cache, "Recompute earlier tokens instead of caching them");
  app.flag("--no-echo", args->no_echo, "Do not print the prompt");
  app.run([args] { run(*args); });
}

}  // namespace weft
