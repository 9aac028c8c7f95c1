#include "data/prepare.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <functional>

#include "data/token_file.h"
#include "tests/data/scratch.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

class Prepare : public ScratchTest {
 protected:
  PrepareOptions options(const std::string& kind, std::vector<std::string> inputs) {
    PrepareOptions options;
    options.tokenizer.kind = kind;
    options.inputs = std::move(inputs);
    options.output = path("out");
    return options;
  }

  std::string decoded(const std::string& part) {
    const auto tokens = open_tokens(path("out/" + part), DataConfig::Format::automatic);
    tokens->verify();
    std::vector<TokenId> ids(static_cast<size_t>(tokens->size()));
    tokens->read(0, ids);
    std::string text;
    open_tokenizer(tokens->info().tokenizer_directory)->decode(ids, text);
    return text;
  }
  std::vector<int64_t> documents(const std::string& part) {
    const auto tokens = open_tokens(path("out/" + part), DataConfig::Format::automatic);
    return {tokens->documents().begin(), tokens->documents().end()};
  }

  // Expects the error, and that it leaves everything as it was.
  void refuse(ErrorKind kind, const PrepareOptions& bad, const std::vector<std::string>& parts) {
    const auto before = entries();
    expect_error(kind, parts, [&] { prepare(bad, {}); });
    EXPECT_EQ(entries(), before);
  }
  void refuse(const PrepareOptions& bad, const std::vector<std::string>& parts) {
    refuse(ErrorKind::input, bad, parts);
  }

  // Runs `body` in a process of its own, which may give up rights; expects it to return true.
  static void in_child(const std::function<bool()>& body) {
    const pid_t child = ::fork();
    if (child == 0) {
      const bool good = body();
      std::fflush(stderr);
      ::_exit(good ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the child failed, see above";
  }
  // As root nothing is forbidden, so it becomes nobody.
  static bool drop_rights() { return ::geteuid() != 0 || ::setuid(65534) == 0; }
  // Whether prepare fails with this kind and all of `parts` in the message.
  static bool fails(const PrepareOptions& bad, ErrorKind kind,
                    const std::vector<std::string>& parts) {
    try {
      prepare(bad, {});
      std::fprintf(stderr, "no error\n");
      return false;
    } catch (const Error& error) {
      const std::string message = error.what();
      bool good = error.kind() == kind;
      for (const std::string& part : parts) good &= message.find(part) != std::string::npos;
      if (!good) std::fprintf(stderr, "%s\n", message.c_str());
      return good;
    }
  }
};

TEST_F(Prepare, holds_out_the_last_characters_of_a_text) {
  const Prepared prepared = prepare(options("char", {write("a.txt", "abcdéfghij")}), {});
  EXPECT_EQ(decoded("train"), "abcdéfghi");
  EXPECT_EQ(decoded("validation"), "j");
  EXPECT_EQ(prepared.train.vocab_size, 10);
  EXPECT_EQ(prepared.train.tokens, 9);
  EXPECT_EQ(prepared.train.tokenizer_digest, prepared.validation->tokenizer_digest);
  EXPECT_EQ(prepared.train.sources[0].name, path("a.txt"));
  EXPECT_EQ(prepared.train.sources[0].bytes, 11);
}

TEST_F(Prepare, writes_equal_bytes_when_run_again) {
  const std::string text = write("a.txt", "some text, then more");
  prepare(options("byte", {text}), {});
  const std::string ids = read(path("out/train/tokens.bin"));
  const std::string manifest = read(path("out/train/manifest.json"));
  std::filesystem::remove_all(path("out"));
  prepare(options("byte", {text}), {});
  EXPECT_EQ(read(path("out/train/tokens.bin")), ids);
  EXPECT_EQ(read(path("out/train/manifest.json")), manifest);
}

TEST_F(Prepare, cuts_between_jsonl_documents) {
  std::string lines;
  for (int i = 0; i < 10; ++i) lines += fmt::format("{{\"body\": \"text {}\"}}\n", i);
  PrepareOptions jsonl = options("byte", {write("a.jsonl", lines)});
  jsonl.corpus.jsonl_field = "body";
  jsonl.validation_fraction = 0.15;  // 51 of 60 characters: the document that holds it stays whole
  prepare(jsonl, {});
  EXPECT_EQ(decoded("validation"), "text 9");
  EXPECT_EQ(documents("train").size(), 10u);
  EXPECT_EQ(documents("train")[1], 6);
}

TEST_F(Prepare, cuts_inside_the_last_of_several_texts) {
  const auto files = {write("a.txt", "aaaaaa"), write("b.txt", "bbbb")};
  prepare(options("byte", files), {});
  EXPECT_EQ(decoded("train"), "aaaaaabbb");
  EXPECT_EQ(decoded("validation"), "b");
  EXPECT_THAT(documents("train"), ElementsAre(0, 6, 9));
}

TEST_F(Prepare, a_cut_between_two_texts_divides_neither) {
  PrepareOptions two = options("byte", {write("a.txt", "aaaaa"), write("b.txt", "bbbbb")});
  two.validation_fraction = 0.5;
  prepare(two, {});
  EXPECT_EQ(decoded("train"), "aaaaa");
  EXPECT_EQ(decoded("validation"), "bbbbb");
  EXPECT_THAT(documents("train"), ElementsAre(0, 5));
  EXPECT_THAT(documents("validation"), ElementsAre(0, 5));
}

TEST_F(Prepare, a_cut_may_fall_between_two_blocks) {
  constexpr size_t kBlock = 1u << 20;
  const std::string text = std::string(kBlock, 'a') + std::string(kBlock, 'b');
  PrepareOptions half = options("byte", {write("a.txt", text)});
  half.validation_fraction = 0.5;
  prepare(half, {});
  EXPECT_EQ(decoded("train"), std::string(kBlock, 'a'));
  EXPECT_EQ(decoded("validation"), std::string(kBlock, 'b'));
}

TEST_F(Prepare, takes_validation_files_and_their_characters) {
  PrepareOptions given = options("char", {write("a.txt", "abc")});
  given.validation = {write("v.txt", "xyz")};
  const Prepared prepared = prepare(given, {});
  EXPECT_EQ(prepared.train.vocab_size, 6);
  EXPECT_EQ(decoded("train"), "abc");
  EXPECT_EQ(decoded("validation"), "xyz");
  EXPECT_EQ(prepared.validation->sources[0].name, path("v.txt"));
}

TEST_F(Prepare, holds_out_nothing_when_told) {
  PrepareOptions all = options("byte", {write("a.txt", "abc")});
  all.validation_fraction = 0;
  EXPECT_FALSE(prepare(all, {}).validation.has_value());
  EXPECT_EQ(decoded("train"), "abc");
  EXPECT_FALSE(std::filesystem::exists(path("out/validation")));
}

TEST_F(Prepare, gives_the_ids_of_the_whole_text_whatever_the_chunks) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += fmt::format("line {}: déjà vu, l'été\n\n  end {}.\n", i, i);
  PrepareOptions whole = options("char", {write("a.txt", text)});
  prepare(whole, {});
  const std::string ids = read(path("out/train/tokens.bin"));
  std::filesystem::remove_all(path("out"));
  whole.chunk_bytes = 1;
  prepare(whole, {});
  EXPECT_EQ(read(path("out/train/tokens.bin")), ids);
}

TEST_F(Prepare, reports_progress_up_to_the_total) {
  int64_t last = 0, total = 0;
  prepare(options("byte", {write("a.txt", std::string(3u << 20, 'a'))}),
          [&](int64_t done, int64_t all) {
            EXPECT_GT(done, last);
            last = done;
            total = all;
          });
  EXPECT_EQ(total, 2 * (3 << 20));
  EXPECT_EQ(last, total);
}

TEST_F(Prepare, replaces_its_own_output_with_force_only) {
  const std::string a = write("a.txt", "aaaaaaaaaa"), b = write("b.txt", "bbbbbbbbbb");
  prepare(options("byte", {a}), {});
  PrepareOptions again = options("byte", {b});
  refuse(ErrorKind::usage, again, {"exists", "--force"});
  EXPECT_EQ(decoded("validation"), "a");
  again.force = true;
  prepare(again, {});
  EXPECT_EQ(decoded("validation"), "b");
  write("out/notes.txt", "mine");
  refuse(ErrorKind::usage, again, {"notes.txt", "did not write"});
}

TEST_F(Prepare, creates_the_directories_above_and_leaves_none_after_a_failure) {
  PrepareOptions deep = options("byte", {write("a.txt", "some text")});
  deep.output = path("x/y/out/");
  prepare(deep, {});
  EXPECT_TRUE(std::filesystem::exists(path("x/y/out/train/manifest.json")));
  deep.output = path("p/q/out");
  deep.validation_fraction = 0.999;
  refuse(deep, {"leaves no text to train on"});
}

TEST_F(Prepare, leaves_nothing_behind_any_bad_text) {
  const std::string good = write("good.txt", "some text");
  refuse(options("byte", {good, write("a.txt", "x\xff")}), {"a.txt", "not UTF-8"});
  refuse(options("byte", {good, write("b.jsonl", "{\"text\": \"a\"}\n{")}), {"line 2"});
  refuse(options("byte", {good, write("c.txt", "")}), {"is empty"});
  refuse(options("byte", {good, path(".")}), {"is a directory"});
  refuse(options("byte", {write("d.jsonl", "{\"text\": \"\"}\n")}), {"every document is empty"});
  PrepareOptions vocabulary = options("char", {good});
  vocabulary.tokenizer.vocab = write("v.txt", "abc");
  refuse(vocabulary, {"U+"});
}

TEST_F(Prepare, refuses_one_text_twice) {
  const std::string a = write("a.txt", "some text"), b = write("b.txt", "some text");
  std::filesystem::create_symlink(a, path("link.txt"));
  refuse(options("byte", {a, path("link.txt")}), {"a.txt", "link.txt", "one file"});
  refuse(options("byte", {a, b}), {"same content"});
  PrepareOptions leak = options("byte", {a});
  leak.validation = {b};
  refuse(leak, {"same content", "hold out other text"});
}

TEST_F(Prepare, refuses_parts_without_text) {
  PrepareOptions jsonl = options("byte", {write("a.jsonl", "{\"text\": \"one document\"}\n")});
  refuse(jsonl, {"holds out no document", "--validation FILE"});
}

TEST_F(Prepare, refuses_contradicting_options) {
  const std::string good = write("good.txt", "some text");
  PrepareOptions eot = options("byte", {good});
  eot.append_eot = PrepareOptions::AppendEot::yes;
  refuse(ErrorKind::usage, eot, {"--append-eot", "no end-of-text"});
  PrepareOptions fraction = options("byte", {good});
  fraction.validation_fraction = 1;
  refuse(ErrorKind::usage, fraction, {"--validation-fraction 1"});
  PrepareOptions file = options("byte", {good});
  file.output = good;
  refuse(ErrorKind::usage, file, {"is a file"});
}

TEST_F(Prepare, refuses_a_text_without_permission) {
  const std::string secret = write("secret.txt", "some text");
  std::filesystem::permissions(secret, std::filesystem::perms::none);
  std::filesystem::permissions(root_, std::filesystem::perms::all);
  in_child([&] {
    return drop_rights() && fails(options("byte", {secret}), ErrorKind::input,
                                  {"secret.txt", "Permission denied", "readable"});
  });
  EXPECT_THAT(entries(), ElementsAre("secret.txt"));
}

TEST_F(Prepare, refuses_an_output_without_permission) {
  const std::string text = write("a.txt", "some text");
  std::filesystem::create_directory(path("locked"));
  std::filesystem::permissions(path("locked"), static_cast<std::filesystem::perms>(0555));
  in_child([&] {
    PrepareOptions locked = options("byte", {text});
    locked.output = path("locked/out");
    return drop_rights() &&
           fails(locked, ErrorKind::environment, {"locked/out", "Permission denied", "write"});
  });
  EXPECT_THAT(entries(), UnorderedElementsAre("a.txt", "locked"));
}

// A limit on the size of files stands for a full disk: write fails half-way.
TEST_F(Prepare, leaves_nothing_behind_on_a_full_disk) {
  const std::string text = write("a.txt", std::string(100000, 'a'));
  in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{50000, 50000};
    return ::setrlimit(RLIMIT_FSIZE, &limit) == 0 &&
           fails(options("byte", {text}), ErrorKind::environment,
                 {"tokens.bin", "byte 50000", "File too large", "ulimit"});
  });
  EXPECT_THAT(entries(), ElementsAre("a.txt"));
}

class PrepareShared : public Prepare {
 protected:
  std::string shared(const std::string& name) { return std::string(WEFT_SHARED_DATA) + "/" + name; }
};

TEST_F(PrepareShared, tinyshakespeare_divides_as_published) {
  const std::string text = shared("text/tinyshakespeare.txt");
  if (!std::filesystem::exists(text)) GTEST_SKIP() << text << " is absent";
  const Prepared prepared = prepare(options("char", {text}), {});
  EXPECT_EQ(prepared.train.vocab_size, 65);
  EXPECT_EQ(prepared.train.tokens, 1003854);
  EXPECT_EQ(prepared.validation->tokens, 111540);
}

TEST_F(PrepareShared, gpt2_ids_do_not_depend_on_the_chunks) {
  const std::string text = shared("text/sales_textbook.txt");
  if (!std::filesystem::exists(text)) GTEST_SKIP() << text << " is absent";
  PrepareOptions gpt2 = options("gpt2", {text});
  gpt2.tokenizer.vocab = shared("gpt2/vocab.json");
  gpt2.tokenizer.merges = shared("gpt2/merges.txt");
  gpt2.validation_fraction = 0;
  EXPECT_EQ(prepare(gpt2, {}).train.tokens, 79932);
  const std::string ids = read(path("out/train/tokens.bin"));
  gpt2.chunk_bytes = 4096;
  gpt2.force = true;
  prepare(gpt2, {});
  EXPECT_EQ(read(path("out/train/tokens.bin")), ids);
}

TEST_F(PrepareShared, appends_end_of_text_to_each_of_several_documents) {
  PrepareOptions gpt2 = options("gpt2", {});
  gpt2.tokenizer.vocab = shared("gpt2/vocab.json");
  gpt2.tokenizer.merges = shared("gpt2/merges.txt");
  if (!std::filesystem::exists(gpt2.tokenizer.vocab)) GTEST_SKIP() << "no GPT-2 vocabulary";
  gpt2.inputs = {write("a.jsonl", "{\"text\": \"Hello\"}\n{\"text\": \" world<|endoftext|>\"}\n")};
  gpt2.validation_fraction = 0;
  const Prepared prepared = prepare(gpt2, {});
  EXPECT_TRUE(prepared.train.append_eot);
  EXPECT_EQ(decoded("train"), "Hello<|endoftext|> world<|endoftext|><|endoftext|>");
  const auto tokens = open_tokens(path("out/train"), DataConfig::Format::automatic);
  std::vector<TokenId> ids(static_cast<size_t>(tokens->size()));
  tokens->read(0, ids);
  EXPECT_EQ(ids[0], 15496);
  EXPECT_EQ(ids[1], 50256);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 50256), 2) << "text cannot inject a separator";
}

}  // namespace
}  // namespace weft
