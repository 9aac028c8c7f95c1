#include "data/token_file.h"

#include "data/content_memory.h"
#include "data/dataset_writer.h"
#include "tests/data/scratch.h"

namespace weft {
namespace {

using Format = DataConfig::Format;
using testing::ElementsAre;
using testing::ElementsAreArray;

std::vector<TokenId> all(const TokenSource& tokens) {
  std::vector<TokenId> ids(static_cast<size_t>(tokens.size()));
  tokens.read(0, ids);
  return ids;
}

std::string llmc_file(const std::vector<uint16_t>& ids, int32_t magic = 20240520,
                      int32_t version = 1) {
  std::vector<int32_t> header(256);
  header[0] = magic;
  header[1] = version;
  header[2] = static_cast<int32_t>(ids.size());
  return Bytes().add_all(header).add_all(ids).str();
}

// Six tokens: sequences of 2, 1, 3; documents of sequences [0, 2) and [2, 3).
struct MegatronIndex {
  uint64_t version = 1;
  uint8_t code = 8;
  std::vector<int32_t> lengths = {2, 1, 3};
  std::vector<int64_t> pointers = {0, 4, 6};
  std::vector<int64_t> documents = {0, 2, 3};
  std::string tail = {};

  std::string str() const {
    return Bytes()
        .text({"MMIDIDX\0\0", 9})
        .add(version)
        .add(code)
        .add(uint64_t{lengths.size()})
        .add(uint64_t{documents.size()})
        .add_all(lengths)
        .add_all(pointers)
        .add_all(documents)
        .text(tail)
        .str();
  }
};

class TokenFile : public ScratchTest {
 protected:
  // A dataset of two documents, "abc" and "de", as byte ids.
  std::string write_dataset() {
    const std::string directory = path("train");
    std::filesystem::create_directories(directory);
    const auto tokenizer = load_tokenizer({.kind = "byte", .vocab = {}, .merges = {}, .ranks = {}});
    DatasetWriter writer(directory, "train", *tokenizer, /*append_eot=*/false);
    writer.append(std::vector<TokenId>{'a', 'b'});
    writer.append(std::vector<TokenId>{'c'});
    writer.end_document();
    writer.append(std::vector<TokenId>{'d', 'e'});
    writer.end_document();
    writer.finish({{"a.txt", 5, "00"}}, 0);
    return directory;
  }

  std::string write_megatron(const MegatronIndex& index,
                             const std::string& data = Bytes().add_all(kIds).str()) {
    write("m.bin", data);
    write("m.idx", index.str());
    return path("m");
  }

  void change(const std::string& file, size_t at, char value) {
    std::string bytes = read(file);
    bytes.at(at) = value;
    std::ofstream(file, std::ios::binary) << bytes;
  }

  inline static const std::vector<uint16_t> kIds = {7, 60000, 9, 1, 2, 3};
};

TEST_F(TokenFile, reads_its_own_dataset) {
  const auto tokens = open_tokens(write_dataset(), Format::automatic);
  EXPECT_THAT(all(*tokens), ElementsAre('a', 'b', 'c', 'd', 'e'));
  EXPECT_THAT(tokens->documents(), ElementsAre(0, 3, 5));
  EXPECT_EQ(tokens->info().vocab_size, 256);
  EXPECT_EQ(tokens->info().largest.id, 'e');
  EXPECT_EQ(tokens->info().largest.position, 4);
  EXPECT_EQ(tokens->info().tokenizer_directory, path("tokenizer"));
  tokens->verify();
}

TEST_F(TokenFile, writes_the_documented_bytes) {
  const std::string directory = write_dataset();
  const std::string expected = Bytes()
                                   .text("WEFTTOKS")
                                   .add(uint32_t{1})
                                   .add(uint32_t{1})
                                   .add(uint64_t{5})
                                   .add(uint64_t{256})
                                   .text(std::string(32, '\0'))
                                   .text("abcde")
                                   .str();
  EXPECT_EQ(read(directory + "/tokens.bin"), expected);
  const std::string documents = Bytes()
                                    .text("WEFTDOCS")
                                    .add(uint32_t{1})
                                    .add(uint32_t{8})
                                    .add(uint64_t{2})
                                    .add(uint64_t{5})
                                    .text(std::string(32, '\0'))
                                    .add_all(std::vector<int64_t>{0, 3, 5})
                                    .str();
  EXPECT_EQ(read(directory + "/documents.bin"), documents);
}

TEST_F(TokenFile, reads_llmc_uint16_and_finds_documents) {
  const auto tokens =
      open_tokens(write("t.bin", llmc_file({50256, 1, 2, 50256, 3})), Format::automatic);
  EXPECT_THAT(all(*tokens), ElementsAre(50256, 1, 2, 50256, 3));
  EXPECT_THAT(tokens->documents(), ElementsAre(0, 3, 5));
  EXPECT_EQ(tokens->info().largest.id, 50256);
  EXPECT_EQ(tokens->info().largest.position, 0);
}

TEST_F(TokenFile, reads_llmc_uint32) {
  std::vector<int32_t> file(256 + 3);
  file[0] = 20240801;
  file[1] = 7;
  file[2] = 3;
  file[256] = 128000;
  file[257] = 5;
  file[258] = 127999;
  const auto tokens = open_tokens(write("t.bin", Bytes().add_all(file).str()), Format::llmc);
  EXPECT_THAT(all(*tokens), ElementsAre(128000, 5, 127999));
}

TEST_F(TokenFile, reads_every_integer_code_of_megatron) {
  const MegatronIndex index;
  const std::vector<int> ids = {7, 100, 9, 1, 2, 3};
  const auto check = [&](uint8_t code, auto zero) {
    MegatronIndex coded = index;
    coded.code = code;
    Bytes data;
    for (int id : ids) data.add(static_cast<decltype(zero)>(id));
    const auto width = static_cast<int64_t>(sizeof(zero));
    coded.pointers = {0, 2 * width, 3 * width};
    const auto tokens = open_tokens(write_megatron(coded, data.str()), Format::automatic);
    EXPECT_THAT(all(*tokens), ElementsAreArray(ids)) << int{code};
    EXPECT_THAT(tokens->documents(), ElementsAre(0, 3, 6));
  };
  check(1, uint8_t{});
  check(2, int8_t{});
  check(3, int16_t{});
  check(4, int32_t{});
  check(5, int64_t{});
  check(8, uint16_t{});
}

TEST_F(TokenFile, megatron_opens_by_prefix_bin_and_idx_with_and_without_modes) {
  MegatronIndex index;
  for (const char* suffix : {"", ".bin", ".idx"}) {
    EXPECT_EQ(open_tokens(write_megatron(index) + suffix, Format::automatic)->size(), 6) << suffix;
  }
  index.tail = std::string(3, '\1');
  EXPECT_EQ(open_tokens(write_megatron(index), Format::megatron)->size(), 6);
}

TEST_F(TokenFile, equal_content_has_equal_digests_in_one_format) {
  const auto a = open_tokens(write("a.bin", llmc_file({1, 2})), Format::automatic);
  const auto b = open_tokens(write("b.bin", llmc_file({1, 2})), Format::automatic);
  const auto c = open_tokens(write("c.bin", llmc_file({1, 3})), Format::automatic);
  EXPECT_EQ(a->info().digest, b->info().digest);
  EXPECT_NE(a->info().digest, c->info().digest);
}

TEST_F(TokenFile, refuses_ids_outside_the_model) {
  const auto tokens = open_tokens(write("t.bin", llmc_file({4, 65, 66, 1})), Format::automatic);
  require_vocabulary(*tokens, 67);
  expect_error(ErrorKind::input, {"t.bin", "token 66", "position 2", "66 ids", "67"},
               [&] { require_vocabulary(*tokens, 66); });
}

TEST_F(TokenFile, refuses_negative_and_huge_ids) {
  MegatronIndex index;
  index.code = 4;
  index.pointers = {0, 8, 12};
  const std::string bad = Bytes().add_all(std::vector<int32_t>{1, 2, -3, 4, 5, 6}).str();
  expect_error(ErrorKind::input, {"i32", "position 2"},
               [&] { open_tokens(write_megatron(index, bad), Format::automatic); });
}

TEST_F(TokenFile, refuses_damaged_llmc_files) {
  const std::string good = llmc_file({1, 2, 3});
  const auto refuse = [&](const std::string& bytes, const std::vector<std::string>& parts) {
    const std::string file = write("t.bin", bytes);
    expect_error(ErrorKind::input, parts, [&] { open_tokens(file, Format::llmc); });
  };
  refuse(good.substr(0, good.size() - 1), {"1029 bytes", "1030", "truncated"});
  refuse(good + "x", {"1031 bytes", "1030"});
  refuse(good.substr(0, 500), {"500 bytes", "1024"});
  refuse(llmc_file({1}, 20240520, 2), {"version 2", "version 1"});
  refuse(llmc_file({1}, 20240522), {"evaluation set"});
  refuse(llmc_file({1}, 12345), {"12345", "weft prepare"});
  refuse(llmc_file({}), {"no tokens"});
  std::string negative = good;
  negative[11] = '\x80';
  refuse(negative, {"token count", "2^31"});
}

TEST_F(TokenFile, refuses_damaged_megatron_files) {
  const auto refuse = [&](const MegatronIndex& index, const std::vector<std::string>& parts) {
    const std::string prefix = write_megatron(index);
    expect_error(ErrorKind::input, parts, [&] { open_tokens(prefix, Format::megatron); });
  };
  refuse({.version = 2}, {"m.idx", "version 2"});
  refuse({.code = 7}, {"floating point"});
  refuse({.code = 9}, {"type code 9"});
  refuse({.lengths = {2, -1, 3}}, {"sequence 1", "-1"});
  refuse({.pointers = {0, 6, 4}}, {"sequence 1", "byte 6", "4"});
  refuse({.documents = {0, 3, 2}}, {"document 2", "damaged"});
  refuse({.documents = {0, 2}}, {"end at sequence 2 of 3"});
  refuse({.documents = {0, int64_t{1} << 40}}, {"document 1"});
  refuse({.tail = "xx"}, {"do not fit 3 sequences"});
  refuse({.lengths = {2, 1, 4}}, {"m.bin", "12 bytes", "14"});
}

TEST_F(TokenFile, refuses_index_counts_that_overflow) {
  const std::string prefix = write_megatron({});
  for (size_t at : {size_t{25}, size_t{33}}) {
    write_megatron({});
    change(prefix + ".idx", at, '\x20');  // 2^61 more sequences, or documents
    expect_error(ErrorKind::input, {"m.idx", "do not fit"},
                 [&] { open_tokens(prefix, Format::megatron); });
  }
}

TEST_F(TokenFile, refuses_damaged_datasets) {
  const std::string directory = write_dataset();
  const std::string tokens = directory + "/tokens.bin";
  const std::string good = read(tokens);
  const auto with = [&](const std::string& bytes, const std::vector<std::string>& parts) {
    std::ofstream(tokens, std::ios::binary) << bytes;
    expect_error(ErrorKind::input, parts, [&] { open_tokens(directory, Format::automatic); });
  };
  with(good.substr(0, good.size() - 1), {"tokens.bin", "68 bytes", "69", "truncated"});
  with("XEFT" + good.substr(4), {"WEFTTOKS"});
  with(good.substr(0, 16) + '\6' + good.substr(17), {"token count is 6", "says 5"});
  with("", {"0 bytes"});
}

TEST_F(TokenFile, refuses_damaged_document_indices) {
  const std::string directory = write_dataset();
  const std::string file = directory + "/documents.bin";
  change(file, 72, '\7');  // the second document begins at token 7 of 5
  expect_error(ErrorKind::input, {"documents.bin", "ascend"},
               [&] { open_tokens(directory, Format::automatic); });
  std::filesystem::resize_file(file, 80);
  expect_error(ErrorKind::input, {"80 bytes", "88", "truncated"},
               [&] { open_tokens(directory, Format::automatic); });
}

TEST_F(TokenFile, refuses_damaged_manifests) {
  const std::string directory = write_dataset();
  const std::string file = directory + "/manifest.json";
  const std::string good = read(file);
  const auto with = [&](const std::string& from, const std::string& to,
                        const std::vector<std::string>& parts) {
    std::string bytes = good;
    bytes.replace(bytes.find(from), from.size(), to);
    std::ofstream(file, std::ios::binary) << bytes;
    expect_error(ErrorKind::input, parts, [&] { open_tokens(directory, Format::automatic); });
  };
  with("{", "", {"manifest.json", "weft prepare"});
  with("weft-tokens", "tokens", {"weft prepare"});
  with("\"version\": 1", "\"version\": 2", {"version 2"});
  with("\"tokens\": 5", "\"tokens\": -5", {"'tokens'", "at least 1"});
  with("\"tokens\": 5", "\"tokens\": \"5\"", {"'tokens'", "integer"});
  with("\"largest_id\": 101", "\"largest_id\": 256", {"'largest_id'"});
  with("\"type\": \"u8\"", "\"type\": \"u9\"", {"'type'"});
  with("\"sources\"", "\"sauces\"", {"'sources'"});
}

TEST_F(TokenFile, notices_changes_after_opening) {
  const std::string directory = write_dataset();
  const auto tokens = open_tokens(directory, Format::automatic);
  change(directory + "/tokens.bin", 66, '\xff');
  expect_error(ErrorKind::input, {"tokens.bin", "token 255", "position 2"}, [&] { all(*tokens); });
  expect_error(ErrorKind::input, {"digest", "changed"}, [&] { tokens->verify(); });
  std::filesystem::resize_file(directory + "/tokens.bin", 66);
  expect_error(ErrorKind::input, {"byte 66", "truncated"}, [&] { all(*tokens); });
}

TEST_F(TokenFile, refuses_what_is_no_token_file) {
  const auto refuse = [&](const std::string& file, const std::vector<std::string>& parts) {
    expect_error(ErrorKind::input, parts, [&] { open_tokens(file, Format::automatic); });
  };
  refuse(path("missing"), {"missing", "No such file"});
  refuse(write("empty.bin", ""), {"is empty"});
  refuse(write("text.txt", "once upon a time"), {"weft prepare"});
  refuse(path("."), {"manifest.json", "weft prepare"});
  refuse("/dev/null", {"not a regular file"});
  refuse(write_dataset() + "/tokens.bin", {"name its directory"});
  expect_error(ErrorKind::input, {"is a directory"}, [&] { open_tokens(path("."), Format::llmc); });
  refuse(path(""), {"name", "train"});
}

// Files that were read once are not read again, however large they are.
class ReadOnce : public TokenFile {
 protected:
  void SetUp() override {
    TokenFile::SetUp();
    memory_ = ContentMemory(path("cache"), /*settling_ns=*/0);
  }

  // Bytes that opening reads through.
  int64_t bytes_read(const std::string& file, bool reread = false) {
    ContentCheck check{.memory = &memory_, .verify = true, .reread = reread};
    source_ = open_tokens(file, Format::automatic, check);
    EXPECT_THAT(check.notices, ElementsAre());
    return check.bytes_read;
  }

  ContentMemory memory_{""};
  std::unique_ptr<TokenSource> source_;
};

TEST_F(ReadOnce, llmc) {
  const std::string file = write("t.bin", llmc_file({50256, 1, 2, 50256, 3}));
  EXPECT_EQ(bytes_read(file), 1034);
  const std::string digest = source_->info().digest;
  EXPECT_EQ(bytes_read(file), 0);
  EXPECT_EQ(source_->info().digest, digest);
  EXPECT_EQ(source_->info().largest.id, 50256);
  EXPECT_EQ(source_->info().largest.position, 0);
  EXPECT_THAT(source_->documents(), ElementsAre(0, 3, 5));
  EXPECT_EQ(bytes_read(file, /*reread=*/true), 1034);
}

TEST_F(ReadOnce, megatron) {
  const std::string prefix = write_megatron(MegatronIndex());
  const int64_t all = bytes_read(prefix);
  EXPECT_EQ(all, static_cast<int64_t>(12 + MegatronIndex().str().size()));
  EXPECT_EQ(bytes_read(prefix), 0);
  EXPECT_EQ(source_->info().largest.id, 60000);
  EXPECT_EQ(source_->info().digest, open_tokens(prefix, Format::automatic)->info().digest);
}

TEST_F(ReadOnce, our_own_is_verified_once) {
  const std::string directory = write_dataset();
  EXPECT_GT(bytes_read(directory), 0);
  EXPECT_EQ(bytes_read(directory), 0);
}

TEST_F(ReadOnce, until_the_file_changes) {
  const std::string file = write("t.bin", llmc_file({4, 65, 66, 1}));
  EXPECT_GT(bytes_read(file), 0);
  const auto time = std::filesystem::last_write_time(file);
  change(file, 1024 + 2, 67);
  std::filesystem::last_write_time(file, time);  // the other time cannot be set back
  EXPECT_GT(bytes_read(file), 0);
  EXPECT_EQ(source_->info().largest.id, 67);
  write("new.bin", llmc_file({4, 65, 69, 1}));
  std::filesystem::rename(path("new.bin"), file);
  EXPECT_GT(bytes_read(file), 0);
  EXPECT_EQ(source_->info().largest.id, 69);
}

TEST_F(ReadOnce, a_damaged_memory_is_none) {
  const std::string file = write("t.bin", llmc_file({4, 65, 66, 1}));
  EXPECT_GT(bytes_read(file), 0);
  for (const auto& entry : std::filesystem::directory_iterator(path("cache"))) {
    change(entry.path().string(), 20, 'x');
  }
  EXPECT_GT(bytes_read(file), 0);
  EXPECT_EQ(bytes_read(file), 0);
}

TEST_F(ReadOnce, what_changed_just_now_is_read_again) {
  const std::string file = write("t.bin", llmc_file({4, 65, 66, 1}));
  memory_ = ContentMemory(path("cache"), /*settling_ns=*/int64_t{1} << 60);
  EXPECT_GT(bytes_read(file), 0);
  EXPECT_GT(bytes_read(file), 0);
}

TEST_F(ReadOnce, a_folder_that_cannot_be_made_is_said) {
  const std::string file = write("t.bin", llmc_file({4, 65, 66, 1}));
  const ContentMemory nowhere(file + "/cache", 0);
  ContentCheck check{.memory = &nowhere};
  EXPECT_EQ(open_tokens(file, Format::automatic, check)->size(), 4);
  EXPECT_THAT(check.notices, ElementsAre(testing::HasSubstr("reads all data again")));
}

TEST_F(TokenFile, opening_verifies_where_it_is_asked) {
  for (const char* name : {"/tokens.bin", "/documents.bin"}) {
    const std::string directory = write_dataset();
    change(directory + name, 63, 1);  // the last byte of the header, which nothing reads
    ContentCheck check{.verify = true};
    expect_error(ErrorKind::input, {"digest"},
                 [&] { open_tokens(directory, Format::automatic, check); });
    std::filesystem::remove_all(directory);
  }
}

}  // namespace
}  // namespace weft
