// Encoding and decoding speed on one core, in MB (10^6 bytes) of text a second.
//
//   build/tests/bench_tokenizer
#include <benchmark/benchmark.h>

#include <filesystem>
#include <fstream>

#include "data/tokenizer/tokenizer.h"

namespace weft {
namespace {

std::string shared(const std::string& name) { return std::string(WEFT_SHARED_DATA) + "/" + name; }

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

TokenizerSpec spec_of(const std::string& kind) {
  if (kind == "gpt2") return {kind, shared("gpt2/vocab.json"), shared("gpt2/merges.txt"), ""};
  if (kind == "char") return {kind, shared("text/tinyshakespeare.txt"), "", ""};
  return {kind, "", "", shared("cl100k/cl100k_base.tiktoken")};
}

void set_rate(benchmark::State& state, size_t bytes) {
  state.counters["MB/s"] =
      benchmark::Counter(static_cast<double>(bytes) * static_cast<double>(state.iterations()) / 1e6,
                         benchmark::Counter::kIsRate);
}

void encode(benchmark::State& state, const std::string& kind, const std::string& text) {
  const auto tokenizer = load_tokenizer(spec_of(kind));
  std::vector<TokenId> ids;
  for (auto _ : state) {
    ids.clear();
    tokenizer->encode(text, false, ids);
    benchmark::DoNotOptimize(ids.data());
  }
  set_rate(state, text.size());
}

void decode(benchmark::State& state, const std::string& kind, const std::string& text) {
  const auto tokenizer = load_tokenizer(spec_of(kind));
  std::vector<TokenId> ids;
  tokenizer->encode(text, false, ids);
  std::string out;
  for (auto _ : state) {
    out.clear();
    tokenizer->decode(ids, out);
    benchmark::DoNotOptimize(out.data());
  }
  set_rate(state, text.size());
}

void load(benchmark::State& state, const std::string& kind) {
  for (auto _ : state) benchmark::DoNotOptimize(load_tokenizer(spec_of(kind)));
}

void register_all() {
  const std::string plays = slurp(shared("text/tinyshakespeare.txt"));
  const std::string sales = slurp(shared("text/sales_textbook.txt"));
  const std::string letters(1'000'000, 'a');
  for (const std::string kind : {"gpt2", "cl100k"}) {
    const auto add = [&](const char* what, const std::string& text, auto function) {
      benchmark::RegisterBenchmark((kind + "/" + what).c_str(), function, kind, text)
          ->Unit(benchmark::kMillisecond);
    };
    add("encode/tinyshakespeare", plays, encode);
    add("encode/sales_textbook", sales, encode);
    add("encode/one_letter_1MB", letters, encode);
    add("decode/tinyshakespeare", plays, decode);
    benchmark::RegisterBenchmark((kind + "/load").c_str(), load, kind)
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::RegisterBenchmark("char/encode/tinyshakespeare", encode, std::string("char"), plays)
      ->Unit(benchmark::kMillisecond);
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (!std::filesystem::exists(weft::shared("gpt2/vocab.json"))) {
    std::fprintf(stderr, "bench_tokenizer: no vocabularies in %s\n", WEFT_SHARED_DATA);
    return 0;
  }
  weft::register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
