// load_tokenizer: from a kind and paths to a tokenizer.
#include "core/base/error.h"
#include "data/tokenizer/bpe_tokenizer.h"
#include "data/tokenizer/byte_tokenizer.h"
#include "data/tokenizer/files.h"
#include "data/tokenizer/tokenizer.h"
#include "data/tokenizer/utf8.h"

namespace weft {
namespace {

// The file at `path`, which the spec must name.
std::string required_file(const TokenizerSpec& spec, const std::string& path, const char* key) {
  if (path.empty()) fail(ErrorKind::usage, "tokenizer '{}' needs the path '{}'", spec.kind, key);
  return tokenizer_detail::read_file(path, key);
}

// A path that the kind has no use for is a mistake that the caller should hear of.
void refuse_file(const TokenizerSpec& spec, const std::string& path, const char* key) {
  if (path.empty()) return;
  fail(ErrorKind::usage, "tokenizer '{}' has no use for {}={}; take it out", spec.kind, key, path);
}

std::unique_ptr<Tokenizer> load_char(const TokenizerSpec& spec) {
  const std::string text = required_file(spec, spec.vocab, "vocab");
  require_utf8(text, spec.vocab);
  return char_tokenizer_from_text(text);
}

std::unique_ptr<Tokenizer> load_gpt2(const TokenizerSpec& spec) {
  const std::string vocab = required_file(spec, spec.vocab, "vocab");
  const std::string merges = required_file(spec, spec.merges, "merges");
  return std::make_unique<BpeTokenizer>(read_gpt2_files(vocab, spec.vocab, merges, spec.merges));
}

std::unique_ptr<Tokenizer> load_ranks(const TokenizerSpec& spec, std::string_view kind) {
  const std::string ranks = required_file(spec, spec.ranks, "ranks");
  return std::make_unique<BpeTokenizer>(read_rank_file(kind, ranks, spec.ranks));
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const TokenizerSpec& spec) {
  const bool ranked = spec.kind == "r50k" || spec.kind == "cl100k" || !spec.ranks.empty();
  const bool merged = spec.kind == "gpt2" && !ranked;
  if (merged || spec.kind == "char") {
    refuse_file(spec, spec.ranks, "ranks");
  } else {
    refuse_file(spec, spec.vocab, "vocab");
  }
  if (!merged) refuse_file(spec, spec.merges, "merges");
  if (spec.kind == "byte") return std::make_unique<ByteTokenizer>();
  if (spec.kind == "char") return load_char(spec);
  if (spec.kind == "gpt2" && spec.ranks.empty()) return load_gpt2(spec);
  if (spec.kind == "gpt2" || spec.kind == "r50k") return load_ranks(spec, "r50k");
  if (spec.kind == "cl100k") return load_ranks(spec, "cl100k");
  fail(ErrorKind::usage, "unknown tokenizer '{}'; the kinds are byte, char, gpt2, r50k, cl100k",
       spec.kind);
}

}  // namespace weft
