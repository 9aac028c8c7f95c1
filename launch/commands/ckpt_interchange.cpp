// weft ckpt export and import: weights to and from the files of other programs.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "launch/commands/ckpt_parts.h"
#include "launch/interchange/export.h"
#include "launch/interchange/import.h"

namespace weft {
namespace {

void warn(const std::vector<std::string>& notices) {
  for (const std::string& notice : notices) fmt::print(stderr, "weft: WARNING: {}\n", notice);
}

struct Export {
  std::string checkpoint;
  std::string format;
  std::string output;
  uint64_t max_shard_bytes = 5'000'000'000;
};

void run(const Export& args) {
  const std::string checkpoint = resolve_checkpoint(args.checkpoint);
  const ExportResult result =
      export_safetensors(checkpoint, args.output, static_cast<int64_t>(args.max_shard_bytes));
  fmt::print("{}: {} tensors, {:.1f} MB in {}\n", args.output, result.tensors,
             static_cast<double>(result.bytes) / 1e6, fmt::join(result.files, ", "));
  warn(result.notices);
}

struct Import {
  ImportRequest request;
  std::string format;
};

void run(Import& args) {
  args.request.format = args.format == "llmc" ? WeightFormat::llmc : WeightFormat::safetensors;
  const ImportResult result = import_weights(args.request);
  fmt::print("{}: {} parameters ({})\n", result.path, result.parameters, result.model);
  fmt::print("tokenizer: {}\n",
             result.tokenizer.empty()
                 ? "none; weft generate needs one, give --tokenizer a directory that holds it"
                 : result.tokenizer);
  warn(result.notices);
}

}  // namespace

void add_ckpt_export(Command ckpt, int&) {
  const Command app = ckpt.subcommand("export", "Write weights for other programs");
  auto args = std::make_shared<Export>();
  app.option("CHECKPOINT", args->checkpoint,
             "A step_N directory, or a directory of them (its newest intact)")
      .path()
      .required();
  app.option("OUT", args->output, "Directory to make").path().required();
  app.option("--to", args->format, "safetensors: as Hugging Face's GPT2LMHeadModel loads it")
      .required()
      .one_of({"safetensors"});
  app.option("--max-shard-size", args->max_shard_bytes,
             "Data in one file at most, such as 500MB; more makes several and an index")
      .bytes("5GB")
      .type_name("SIZE");
  app.run([args] { run(*args); });
}

void add_ckpt_import(Command ckpt, int&) {
  const Command app = ckpt.subcommand("import", "Make a checkpoint of another program's weights");
  auto args = std::make_shared<Import>();
  app.option("IN", args->request.input, "The file; of safetensors also an index or a directory")
      .path()
      .required();
  app.option("OUT", args->request.output, "Directory of the checkpoint").path().required();
  app.option("--from", args->format,
             "safetensors (Hugging Face's GPT-2), or llmc (gpt2_124M.bin of llm.c)")
      .required()
      .one_of({"safetensors", "llmc"});
  app.option("--config", args->request.config,
             "YAML file of the run that the checkpoint is for; default: the model as the files "
             "describe it")
      .path();
  app.option("--tokenizer", args->request.tokenizer,
             "Directory with vocab.json and merges.txt, or what weft prepare wrote; default: "
             "that of IN")
      .path()
      .type_name("DIR");
  app.run([args] { run(*args); });
}

}  // namespace weft
