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
                                        const std::string& field = "text") {
    Recorder recorder;
    last_ = visit_corpus(file, field, recorder, [&](int64_t bytes) { read_bytes_ += bytes; });
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
  EXPECT_THAT(documents_of(write("a.jsonl", "{\"b\": \"" + text + "\"}\n{\"b\": \"z\"}\n"), "b"),
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
  refuse(write("c.jsonl", "[1]\n"), {"line 1", "array"});
}

}  // namespace
}  // namespace weft
