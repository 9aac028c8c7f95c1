#include "data/corpus.h"

#include "tests/data/scratch.h"

namespace weft {
namespace {

using testing::ElementsAre;

struct Recorder final : CorpusVisitor {
  std::vector<std::string> documents;
  void begin_document(bool) override { documents.emplace_back(); }
  void text(std::string_view piece) override { documents.back() += piece; }
  void end_document() override {}
};

class Corpus : public ScratchTest {
 protected:
  std::vector<std::string> documents_of(const std::string& file,
                                        const CorpusOptions& options = {}) {
    Recorder recorder;
    last_ = visit_corpus(file, options, recorder, [&](int64_t bytes) { read_bytes_ += bytes; });
    return recorder.documents;
  }
  void refuse(const std::string& file, const std::vector<std::string>& parts) {
    expect_error(ErrorKind::input, parts, [&] { documents_of(file); });
  }

  CorpusFile last_;
  int64_t read_bytes_ = 0;
};

TEST_F(Corpus, a_text_file_is_one_document) {
  EXPECT_THAT(documents_of(write("a.txt", "one\ntwo\n")), ElementsAre("one\ntwo\n"));
  EXPECT_EQ(last_.record.bytes, 8);
  EXPECT_EQ(read_bytes_, 8);
}

TEST_F(Corpus, characters_may_span_blocks) {
  std::string text = "x";
  while (text.size() < (3u << 20)) text += "é€𝄞";  // shifted by one byte: every block cuts one
  EXPECT_THAT(documents_of(write("a.txt", text)), ElementsAre(text));
}

TEST_F(Corpus, jsonl_lines_are_documents) {
  const std::string lines =
      "{\"text\": \"one\"}\n\n{\"id\": 3, \"text\": \"t\\u00e9\\n\"}\r\n{\"text\": \"\"}\n"
      "{\"text\": \"last, without a line end\"}";
  EXPECT_THAT(documents_of(write("a.jsonl", lines)),
              ElementsAre("one", "té\n", "last, without a line end"));
  EXPECT_EQ(last_.skipped_documents, 1);
}

TEST_F(Corpus, jsonl_lines_may_be_longer_than_a_block) {
  const std::string text((5u << 19), 'y');
  EXPECT_THAT(documents_of(write("a.jsonl", "{\"b\": \"" + text + "\"}\n{\"b\": \"z\"}\n"),
                           {.jsonl_field = "b"}),
              ElementsAre(text, "z"));
}

TEST_F(Corpus, refuses_invalid_utf8_with_offset_and_line) {
  refuse(write("a.txt", "ok\nno\xff"), {"a.txt", "0xff", "offset 5", "line 2", "iconv"});
  refuse(write("cut.txt", "caf\xc3"), {"0xc3", "offset 3", "line 1"});
  const std::string block((1u << 20) + 7, '\n');
  refuse(write("far.txt", block + "\x80"), {"offset 1048583", "line 1048584"});
  refuse(write("a.jsonl", "{\"text\": \"a\"}\n{\"text\": \"\xfe\"}\n"),
         {"0xfe", "offset 24", "line 2"});
}

TEST_F(Corpus, refuses_an_empty_file) { refuse(write("a.txt", ""), {"a.txt", "is empty"}); }

TEST_F(Corpus, refuses_a_directory) {
  refuse(path("."), {"is a directory", "name the file in it"});
}

TEST_F(Corpus, refuses_a_missing_file) { refuse(path("no.txt"), {"no.txt", "No such file"}); }

TEST_F(Corpus, refuses_a_broken_json_line) {
  refuse(write("a.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\n"), {"a.jsonl: line 2", "broken"});
  refuse(write("b.jsonl", "{\"text\": \"a\"} {}\n"), {"line 1", "broken"});
  refuse(write("c.jsonl", "{\"text\": \"\\ud800\"}\n"), {"line 1", "broken"});
}

TEST_F(Corpus, refuses_a_line_without_the_field) {
  refuse(write("a.jsonl", "{\"text\": \"a\"}\n{\"body\": \"b\"}\n"),
         {"line 2", "'text'", "'body'", "--jsonl-field"});
  refuse(write("b.jsonl", "{\"text\": 3}\n"), {"line 1", "number"});
  refuse(write("c.jsonl", "[1]\n"), {"line 1", "a list", "--skip-bad-lines"});
  refuse(write("d.jsonl", "{\"text\": \"a\", \"text\": \"b\"}\n"), {"line 1", "twice"});
}

TEST_F(Corpus, other_fields_hold_what_they_like) {
  const std::string deep = std::string(60, '[') + std::string(60, ']');
  const std::string lines =
      "{\"a\": 1e999, \"text\": \"one\", \"b\": [NaN, -Infinity, Infinity, -0.5e+3]}\n"
      "{\"a\": {\"text\": [\"no\", {}, []]}, \"text\": \"\\ud83d\\ude00\", \"c\": \"\\ud800\"}\n"
      "{\"deep\": " +
      deep + ", \"d\": 123456789012345678901234567890, \"text\": \"three\"}\n";
  EXPECT_THAT(documents_of(write("a.jsonl", lines)), ElementsAre("one", "😀", "three"));
}

TEST_F(Corpus, a_null_is_a_document_without_text) {
  const std::string lines = "{\"text\": null}\n{\"text\": \"a\"}\n{\"text\": \"\"}\n";
  EXPECT_THAT(documents_of(write("a.jsonl", lines)), ElementsAre("a"));
  EXPECT_EQ(last_.skipped_documents, 2);
}

TEST_F(Corpus, brackets_take_no_memory_and_have_a_limit) {
  const std::string many(size_t{4} << 20, '[');
  refuse(write("a.jsonl", "{\"text\": \"a\", \"x\": " + many), {"line 1", "nested more than 64"});
  std::string flat = "{\"text\": \"a\", \"x\": [";
  for (int i = 0; i < 100000; ++i) flat += "[],";
  EXPECT_THAT(documents_of(write("b.jsonl", flat + "{}]}")), ElementsAre("a"));
}

TEST_F(Corpus, refuses_what_is_no_json) {
  for (const char* value : {"01", "-", "1.", "1e", "+1", ".5", "tru", "[1,]", "[1 2]", "{\"a\"}",
                            "{\"a\":1,}", "{a:1}", "[}", "\"\\x\"", "\"\\u12g4\"", "\"\t\"", ""}) {
    refuse(write("a.jsonl", fmt::format("{{\"text\": \"a\", \"x\": {}}}\n", value)),
           {"line 1", "broken JSON near column"});
  }
  for (const char* line : {"{", "{\"text\"", "{\"text\": \"a\"", "{\"text\": \"a\"}x", "{,}"}) {
    refuse(write("a.jsonl", line), {"line 1", "broken JSON near column"});
  }
}

TEST_F(Corpus, bad_lines_are_left_out_on_request) {
  const std::string lines =
      "{\"text\": \"a\"}\n{\"text\": \"\\udc00\"}\n{\"text\": \"\xFF\"}\nno\n{}\n"
      "{\"text\": \"b\"}\n";
  EXPECT_THAT(documents_of(write("a.jsonl", lines), {.skip_bad_lines = true}),
              ElementsAre("a", "b"));
  EXPECT_EQ(last_.bad_lines, 4);
  EXPECT_THAT(last_.first_bad_line, testing::HasSubstr("line 2"));
  refuse(path("a.jsonl"), {"line 2", "\\udc00", "surrogate", "--skip-bad-lines"});
}

TEST_F(Corpus, json_lines_are_known_by_their_first_line) {
  const std::string lines = "{\"text\": \"one\"}\n{\"text\": \"two\"}\n";
  for (const char* name : {"a.json", "b.jsonl.txt", "c.txt", "d", "e.JSON"}) {
    EXPECT_THAT(documents_of(write(name, "\n " + lines)), ElementsAre("one", "two")) << name;
    EXPECT_TRUE(last_.jsonl_by_content) << name;
  }
  for (const char* name : {"a.jsonl", "b.ndjson", "c.jl", "d.JSONL"}) {
    EXPECT_THAT(documents_of(write(name, lines)), ElementsAre("one", "two")) << name;
    EXPECT_FALSE(last_.jsonl_by_content) << name;
  }
  EXPECT_THAT(documents_of(path("a.json"), {.format = CorpusOptions::Format::text}),
              ElementsAre("\n " + lines));
  refuse(write("f.json", "{\"body\": \"one\"}\n"), {"line 1", "'body'", "--jsonl-field"});
  const std::string long_line = "{\"text\": \"" + std::string(3 << 20, 'x') + "\"}\n";
  EXPECT_EQ(documents_of(write("g.txt", long_line)).front().size(), size_t{3} << 20);
}

TEST_F(Corpus, texts_that_begin_with_braces_stay_texts) {
  for (const char* text : {"{\n  int x;\n}\n", "{}\n", "[section]\nkey\n", "{\"a\n"}) {
    EXPECT_THAT(documents_of(write("a.txt", text)), ElementsAre(text));
    EXPECT_FALSE(last_.jsonl);
  }
}

TEST_F(Corpus, refuses_json_documents_and_packed_files) {
  refuse(write("a.json", "[{\"text\": \"a\"}]\n"), {"a.json", "jq -c", "--format text"});
  refuse(write("b.json", "{\n \"text\": \"a\"\n}\n"), {"b.json", "jq -c"});
  refuse(write("c.jsonl.gz", "\x1F\x8B\x08..."), {"c.jsonl.gz", "gzip -d"});
  refuse(write("d.jsonl", "\x28\xB5\x2F\xFD..."), {"zstd -d"});
  refuse(write("e.parquet", "PAR1..."), {"Parquet"});
  EXPECT_THAT(documents_of(write("f.txt", "BZh is short")), ElementsAre("BZh is short"));
}

TEST_F(Corpus, a_byte_order_mark_is_no_text) {
  EXPECT_THAT(documents_of(write("a.txt", "\xEF\xBB\xBFone")), ElementsAre("one"));
  EXPECT_THAT(documents_of(write("a.jsonl", "\xEF\xBB\xBF{\"text\": \"one\"}\n")),
              ElementsAre("one"));
  EXPECT_THAT(documents_of(write("a", "\xEF\xBB\xBF{\"text\": \"one\"}\n")), ElementsAre("one"));
}

}  // namespace
}  // namespace weft
