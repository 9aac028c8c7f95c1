// `weft tokenize` and `weft detokenize`: text to ids and back, on standard output.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>

#include "core/base/error.h"
#include "data/corpus_kind.h"
#include "data/tokenizer/files.h"
#include "data/tokenizer/lines.h"
#include "data/tokenizer/tokenizer.h"
#include "launch/commands/commands.h"

namespace weft {
namespace {

struct Options {
  TokenizerSpec spec;
  std::string text_for_vocab;
  std::string from;
  std::string input = "-";
  bool jsonl = false;
  bool specials = false;
};

// Standard output in large writes.
class Output {
 public:
  void write(std::string_view bytes) {
    buffer_ += bytes;
    if (buffer_.size() >= kFlushBytes) flush();
  }
  void flush() {
    const bool written = std::fwrite(buffer_.data(), 1, buffer_.size(), stdout) == buffer_.size();
    if (!written || std::fflush(stdout) != 0) {
      fail(ErrorKind::io, "cannot write to standard output: {}", std::strerror(errno));
    }
    buffer_.clear();
  }

 private:
  static constexpr size_t kFlushBytes = size_t{1} << 20;
  std::string buffer_;
};

std::unique_ptr<Tokenizer> open(const Options& options) {
  TokenizerSpec spec = options.spec;
  if (!options.from.empty()) return open_tokenizer(options.from);
  if (spec.kind.empty()) {
    fail(ErrorKind::usage,
         "no tokenizer: name one with --tokenizer (byte, char, gpt2, r50k, cl100k), or a directory "
         "that holds one with --from");
  }
  if (!options.text_for_vocab.empty() && spec.kind != "char") {
    fail(ErrorKind::usage, "--text-for-vocab is for --tokenizer char, not {}", spec.kind);
  }
  if (spec.vocab.empty()) spec.vocab = options.text_for_vocab;
  return load_tokenizer(spec);
}

// Calls run(source, sink) on the input file, or on standard input for "-".
template <typename Run>
void stream(const Options& options, Run run) {
  Output output;
  const ByteSink sink = [&](std::string_view bytes) { output.write(bytes); };
  if (options.input == "-") {
    std::ios::sync_with_stdio(false);
    run(TextSource{std::cin, "standard input"}, sink);
  } else {
    std::ifstream in = tokenizer_detail::open_file(options.input, "input");
    run(TextSource{in, options.input}, sink);
  }
  output.flush();
}

// Text it may be, but hardly what was meant.
void note_json_lines(const Options& options) {
  if (options.jsonl || options.input == "-") return;
  const InputFile file(options.input, "input file");
  if (file.size() == 0 || !look_for_json_lines(file).jsonl) return;
  fmt::print(stderr, "notice: {} is JSON lines, tokenized here as one text; --jsonl reads them\n",
             options.input);
}

void tokenize(const Options& options) {
  const auto tokenizer = open(options);
  note_json_lines(options);
  stream(options, [&](TextSource source, const ByteSink& sink) {
    const auto run = options.jsonl ? tokenize_jsonl : tokenize_text;
    run(*tokenizer, std::move(source), options.specials, sink);
  });
}

void detokenize(const Options& options) {
  const auto tokenizer = open(options);
  stream(options, [&](TextSource source, const ByteSink& sink) {
    const auto run = options.jsonl ? detokenize_jsonl : detokenize_text;
    run(*tokenizer, std::move(source), sink);
  });
}

// The subcommand with the options that both directions share.
const Command add_command(Command root, const char* name, const char* help, Options& options) {
  const Command command = root.subcommand(name, help);
  const Option from =
      command
          .option("--from", options.from,
                  "A directory with tokenizer.json: a prepared dataset or a checkpoint")
          .path();
  const auto add = [&](const char* option, std::string& value, const char* text) {
    return command.option(option, value, text).excludes(from);
  };
  add("--tokenizer", options.spec.kind, "byte, char, gpt2, r50k or cl100k");
  add("--vocab", options.spec.vocab, "gpt2: the file vocab.json").path();
  add("--merges", options.spec.merges, "gpt2: the file merges.txt").path();
  add("--ranks", options.spec.ranks, "r50k, cl100k: the tiktoken file").path();
  add("--text-for-vocab", options.text_for_vocab, "char: a text that has every character").path();
  command.option("FILE", options.input, "What to read; - is standard input, the default").path();
  return command;
}

}  // namespace

void add_tokenize_command(Command root, int& /*exit_code*/) {
  const auto options = std::make_shared<Options>();
  const Command command = add_command(root, "tokenize", "Print the token ids of a text", *options);
  command.flag("--jsonl", options->jsonl,
               "Read {\"text\": ...} a line, print {\"ids\": [...]} a line");
  command.flag("--specials", options->specials,
               "Special tokens such as <|endoftext|> in the text become their ids");
  command.run([options] { tokenize(*options); });
}

void add_detokenize_command(Command root, int& /*exit_code*/) {
  const auto options = std::make_shared<Options>();
  const Command command = add_command(root, "detokenize", "Print the text of token ids", *options);
  command.flag("--jsonl", options->jsonl,
               "Read {\"ids\": [...]} a line, print {\"text\": ...} a line");
  command.run([options] { detokenize(*options); });
}

}  // namespace weft
