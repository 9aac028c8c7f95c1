// Runs a fuzz target on every file of a corpus and on mutations of them, which are the same in
// every run: what fuzzing in a test can be without libFuzzer.
//
//   fuzz_NAME CORPUS [MUTATIONS [FIRST]]     mutations [FIRST, FIRST + MUTATIONS)
//
// When the target ends the process, the number of the mutation is on standard error; with it as
// FIRST and 1 as MUTATIONS it is run again alone.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/fuzz_target.h"

namespace {

volatile std::sig_atomic_t running = -1;  // the mutation that runs

extern "C" void say_where(int number) {
  char text[64];
  const int size = std::snprintf(text, sizeof(text), "in mutation %d\n", static_cast<int>(running));
  [[maybe_unused]] const auto written = ::write(2, text, static_cast<size_t>(size));
  std::signal(number, SIG_DFL);
  std::raise(number);
}

// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): a stream for every mutation.
class Draw {
 public:
  explicit Draw(uint64_t seed) : state_(seed) {}
  uint64_t operator()(uint64_t below) {
    state_ += 0x9E3779B97F4A7C15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return (z ^ (z >> 31)) % below;
  }

 private:
  uint64_t state_;
};

constexpr std::string_view kPieces[] = {"0",
                                        "-1",
                                        "1e99",
                                        "18446744073709551615",
                                        "9223372036854775807",
                                        "null",
                                        "{}",
                                        "[]",
                                        "\"",
                                        "[[[[",
                                        "{\"a\":",
                                        ",",
                                        ":",
                                        "\\u0000",
                                        "&a ",
                                        "*a",
                                        "---\n",
                                        "\t",
                                        "- ",
                                        "'",
                                        "#"};

using Corpus = std::vector<std::string>;

void mutate_once(std::string& text, const Corpus& corpus, Draw& draw) {
  const size_t at = draw(text.size() + 1);
  const size_t count = 1 + draw(std::min<uint64_t>(16, text.size() + 1));
  switch (draw(7)) {
    case 0:
      if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << draw(8)));
      return;
    case 1:
      if (at < text.size()) text[at] = static_cast<char>(draw(256));
      return;
    case 2:
      text.erase(at, count);
      return;
    case 3:
      text.insert(at, text.substr(draw(text.size() + 1), count));
      return;
    case 4:
      text.insert(at, kPieces[draw(std::size(kPieces))]);
      return;
    case 5:
      text.resize(at);
      return;
    default: {
      const std::string& other = corpus[draw(corpus.size())];
      text = text.substr(0, at) + other.substr(draw(other.size() + 1));
    }
  }
}

void run(const std::string& text) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

Corpus read_corpus(const char* directory) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) paths.push_back(entry);
  std::sort(paths.begin(), paths.end());
  Corpus corpus;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream bytes;
    bytes << file.rdbuf();
    corpus.push_back(bytes.str());
  }
  return corpus;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: " << argv[0] << " CORPUS [MUTATIONS [FIRST]]\n";
    return 2;
  }
  const Corpus corpus = read_corpus(argv[1]);
  if (corpus.empty()) {
    std::cerr << argv[1] << " holds no files\n";
    return 2;
  }
  for (const int number : {SIGABRT, SIGSEGV, SIGFPE, SIGBUS}) std::signal(number, say_where);
  const int mutations = argc > 2 ? std::atoi(argv[2]) : 0;
  const int first = argc > 3 ? std::atoi(argv[3]) : 0;
  if (first == 0) std::for_each(corpus.begin(), corpus.end(), run);
  for (int i = first; i < first + mutations; ++i) {
    running = i;
    Draw draw(static_cast<uint64_t>(i));
    std::string text = corpus[draw(corpus.size())];
    for (uint64_t left = 1 + draw(4); left > 0; --left) mutate_once(text, corpus, draw);
    run(text);
  }
  std::cout << corpus.size() << " files, " << mutations << " mutations\n";
  return 0;
}
