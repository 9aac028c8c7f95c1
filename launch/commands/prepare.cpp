// `weft prepare`: text files and JSONL in, token datasets out.
#include "data/prepare.h"

#include <fmt/core.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "core/base/error.h"
#include "launch/commands/commands.h"
#include "launch/show/progress.h"
#include "launch/show/terminal.h"

namespace weft {
namespace {

PrepareOptions::AppendEot parse_append_eot(const std::string& text) {
  if (text == "yes") return PrepareOptions::AppendEot::yes;
  return text == "no" ? PrepareOptions::AppendEot::no : PrepareOptions::AppendEot::automatic;
}

CorpusOptions::Format parse_format(const std::string& text) {
  using Format = CorpusOptions::Format;
  if (text == "text") return Format::text;
  return text == "jsonl" ? Format::jsonl : Format::automatic;
}

void print_part(const DatasetManifest& part, const std::string& output) {
  fmt::print("{}/{}: {} tokens, {} document{}", output, part.split, part.tokens, part.documents,
             part.documents == 1 ? "" : "s");
  if (part.skipped_documents > 0) fmt::print(" ({} empty ones left out)", part.skipped_documents);
  fmt::print("\n");
}

void run(const PrepareOptions& options) {
  std::optional<ProgressBar> bar;
  int64_t shown = 0;
  const Prepared prepared = prepare(options, [&](int64_t done, int64_t total) {
    if (!bar) bar.emplace(stderr, Window([] { return find_terminal(2); }), "prepare", total);
    bar->advance(done - shown);
    shown = done;
  });
  bar.reset();
  for (const std::string& notice : prepared.notices) fmt::print(stderr, "notice: {}\n", notice);
  fmt::print("{}/tokenizer: {}\n", options.output, prepared.tokenizer);
  print_part(prepared.train, options.output);
  if (prepared.validation) print_part(*prepared.validation, options.output);
  if (!prepared.leftover.empty()) fmt::print(stderr, "weft: WARNING: {}\n", prepared.leftover);
}

struct Arguments {
  PrepareOptions options;
  std::string append_eot = "auto";
  std::string format = "auto";
  std::string text_for_vocab;
};

}  // namespace

void add_prepare_command(Command root, int& /*exit_code*/) {
  const Command command =
      root.subcommand("prepare", "Turn UTF-8 text or JSONL files into token datasets for training");
  const auto arguments = std::make_shared<Arguments>();
  PrepareOptions& options = arguments->options;
  command.option("FILE", options.inputs, "UTF-8 text, or JSON lines: one object a line")
      .path()
      .required();
  command.option("--tokenizer", options.tokenizer.kind, "byte, char, gpt2, r50k or cl100k")
      .required();
  command.option("--vocab", options.tokenizer.vocab, "gpt2: the file vocab.json").path();
  command.option("--merges", options.tokenizer.merges, "gpt2: the file merges.txt").path();
  command.option("--ranks", options.tokenizer.ranks, "r50k, cl100k: the tiktoken file").path();
  command
      .option("--text-for-vocab", arguments->text_for_vocab,
              "char: a text whose characters are the vocabulary, rather than all of FILE")
      .path();
  command.option("--output", options.output, "Directory to create").path().required();
  const Option held_out =
      command.option("--validation", options.validation, "Held-out file; repeatable").path();
  held_out.single();
  command
      .option("--validation-fraction", options.validation_fraction,
              "Share of the characters, from the end, to hold out; 0 holds out nothing")
      .show_default()
      .excludes(held_out);
  command
      .option("--format", arguments->format,
              "Of all files. auto: JSON lines where the name (.jsonl, .ndjson, .jl) or the first "
              "line says so, else text")
      .show_default()
      .one_of({"auto", "text", "jsonl"});
  command.option("--jsonl-field", options.corpus.jsonl_field, "Key of a document's text")
      .show_default();
  command.flag("--skip-bad-lines", options.corpus.skip_bad_lines,
               "Leave out lines that are no JSON object with a text, and count them");
  command
      .option("--append-eot", arguments->append_eot,
              "End-of-text id behind each document; auto: with several files or JSONL, where "
              "the tokenizer has one")
      .show_default()
      .one_of({"auto", "yes", "no"});
  command.flag("--force", options.force, "Replace an output that `weft prepare` wrote");
  command.run([arguments] {
    arguments->options.append_eot = parse_append_eot(arguments->append_eot);
    arguments->options.corpus.format = parse_format(arguments->format);
    if (!arguments->text_for_vocab.empty()) {
      if (arguments->options.tokenizer.kind != "char") {
        fail(ErrorKind::usage, "--text-for-vocab goes with --tokenizer char only");
      }
      arguments->options.tokenizer.vocab = arguments->text_for_vocab;
    }
    run(arguments->options);
  });
}

}  // namespace weft
