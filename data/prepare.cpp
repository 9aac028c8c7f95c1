#include "data/prepare.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

#include "core/base/error.h"
#include "data/dataset_writer.h"
#include "data/file.h"
#include "data/staging.h"
#include "data/survey.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// Encodes documents into the training part up to the character `cut`, into the validation part from
// there on.
class Encoder final : public CorpusVisitor {
 public:
  Encoder(const Tokenizer& tokenizer, int64_t chunk_bytes)
      : tokenizer_(tokenizer), chunk_bytes_(static_cast<size_t>(chunk_bytes)) {}

  void write_to(DatasetWriter* train, DatasetWriter* validation, int64_t cut) {
    writer_ = train;
    validation_ = validation;
    cut_ = cut;
    characters_ = 0;
  }

  void begin_document(bool divisible) override {
    divisible_ = divisible;
    if (characters_ >= cut_) hold_out();
  }

  void text(std::string_view piece) override {
    const int64_t count = count_characters(piece);
    if (divisible_ && writer_ != validation_ && characters_ + count > cut_) {
      const size_t bytes = bytes_of(piece, cut_ - characters_);
      add(piece.substr(0, bytes));
      end_document();
      hold_out();
      piece.remove_prefix(bytes);
    }
    characters_ += count;
    add(piece);
  }

  void end_document() override {
    encode(buffer_);
    buffer_.clear();
    writer_->end_document();
  }

 private:
  void hold_out() { writer_ = validation_; }

  static size_t bytes_of(std::string_view text, int64_t characters) {
    size_t at = 0;
    for (; at < text.size(); ++at) {
      if ((static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) continue;
      if (characters-- == 0) break;
    }
    return at;
  }

  // Encodes what may be encoded without knowing what follows. Where the tokenizer finds no place to
  // cut, the text waits until there is twice as much, so that looking again stays linear.
  void add(std::string_view piece) {
    buffer_.append(piece);
    if (buffer_.size() < std::max(chunk_bytes_, 2 * stuck_)) return;
    const size_t bytes = tokenizer_.safe_cut(buffer_);
    stuck_ = bytes == 0 ? buffer_.size() : 0;
    encode(std::string_view(buffer_).substr(0, bytes));
    buffer_.erase(0, bytes);
  }

  void encode(std::string_view text) {
    ids_.clear();
    tokenizer_.encode(text, /*specials=*/false, ids_);
    writer_->append(ids_);
  }

  const Tokenizer& tokenizer_;
  size_t chunk_bytes_;
  DatasetWriter* writer_ = nullptr;
  DatasetWriter* validation_ = nullptr;
  int64_t cut_ = kNever;
  int64_t characters_ = 0;  // before the next piece, over all documents
  bool divisible_ = true;
  size_t stuck_ = 0;  // bytes in which no cut was found
  std::string buffer_;
  std::vector<TokenId> ids_;
};

void require_options(const PrepareOptions& options) {
  if (options.inputs.empty()) fail(ErrorKind::usage, "no text given; name at least one file");
  const double fraction = options.validation_fraction;
  if (!(fraction >= 0 && fraction < 1)) {
    fail(ErrorKind::usage, "--validation-fraction {} is not in [0, 1)", fraction);
  }
}

// Without trailing slash or symbolic links, so that it can be renamed.
std::string resolve(const std::string& output) {
  std::error_code error;
  const fs::path path = fs::weakly_canonical(fs::absolute(output, error), error);
  if (error) {
    fail(ErrorKind::usage, "--output {}: {}; name a directory that can be made", output,
         error.message());
  }
  return (path.has_filename() ? path : path.parent_path()).string();
}

// An output may exist if it is an empty directory, or one of ours and `force`.
void require_free(const std::string& output, bool force) {
  if (!fs::exists(output)) return;
  if (!fs::is_directory(output)) {
    fail(ErrorKind::usage, "--output {}: is a file; name a directory that does not exist yet",
         output);
  }
  for (const auto& entry : fs::directory_iterator(output)) {
    const std::string name = entry.path().filename().string();
    if (name == "train" || name == "validation" || name == "tokenizer") continue;
    fail(ErrorKind::usage,
         "--output {}: holds {}, which `weft prepare` did not write; name another directory",
         output, name);
  }
  if (!force && !fs::is_empty(output)) {
    fail(ErrorKind::usage, "--output {}: exists; name another directory or replace it with --force",
         output);
  }
}

// Calls f; what the file system refuses on the way becomes an Error that names the output.
template <typename F>
auto with_output(const std::string& output, F&& f) {
  try {
    return f();
  } catch (const fs::filesystem_error& error) {
    fail(ErrorKind::environment, "--output {}: {}; choose a directory that you may write to",
         output, error.code().message());
  }
}

bool decide_eot(const PrepareOptions& options, const Survey& texts, const Tokenizer& tokenizer) {
  const bool available = tokenizer.end_of_text().has_value();
  if (options.append_eot == PrepareOptions::AppendEot::yes && !available) {
    fail(ErrorKind::usage, "--append-eot yes: {} has no end-of-text id; use --append-eot no",
         tokenizer.description());
  }
  if (options.append_eot != PrepareOptions::AppendEot::automatic) {
    return options.append_eot == PrepareOptions::AppendEot::yes;
  }
  const bool several = texts.files.size() > 1 || texts.files[0].jsonl;
  return available && several;
}

int64_t bytes_of_files(std::span<const std::string> paths) {
  int64_t bytes = 0;
  for (const std::string& path : paths) bytes += InputFile(path, "text file").size();
  return bytes;
}

std::vector<FileRecord> records_of(const Survey& survey) {
  std::vector<FileRecord> records;
  for (const CorpusFile& file : survey.files) records.push_back(file.record);
  return records;
}

int64_t skipped_in(const Survey& survey) {
  int64_t skipped = 0;
  for (const CorpusFile& file : survey.files) skipped += file.skipped_documents;
  return skipped;
}

void note(const Survey& survey, std::vector<std::string>& notices) {
  for (const CorpusFile& file : survey.files) {
    const std::string& name = file.record.name;
    if (file.jsonl_by_content) {
      notices.push_back(fmt::format(
          "{}: read as JSON lines, since its first line is a JSON object; --format text reads it "
          "as text",
          name));
    }
    if (file.bad_lines > 0) {
      notices.push_back(fmt::format("{}: {} bad line{} left out, the first: {}", name,
                                    file.bad_lines, file.bad_lines == 1 ? "" : "s",
                                    file.first_bad_line));
    }
  }
}

// The first character of the validation part.
int64_t cut_of(const PrepareOptions& options, const Survey& survey) {
  if (!options.validation.empty() || options.validation_fraction == 0) return kNever;
  const double kept = static_cast<double>(survey.characters) * (1 - options.validation_fraction);
  return static_cast<int64_t>(std::floor(kept));
}

void require_text(const Survey& survey) {
  if (survey.characters > 0) return;
  fail(ErrorKind::input, "{}: every document is empty; give a file with text",
       survey.files[0].record.name);
}

// Encodes the files and checks that they still are what the survey saw.
void encode_files(const PrepareOptions& options, const Survey& survey, Encoder& encoder,
                  const std::function<void(int64_t)>& advance) {
  for (const CorpusFile& known : survey.files) {
    const CorpusFile now = visit_corpus(known.record.name, options.corpus, encoder, advance);
    if (now.record.digest == known.record.digest) continue;
    fail(ErrorKind::input, "{}: changed while it was being read; start again when it is complete",
         known.record.name);
  }
}

void require_parts(const DatasetWriter& train, const DatasetWriter* validation,
                   const PrepareOptions& options) {
  if (train.documents() == 0) {
    fail(ErrorKind::input,
         "--validation-fraction {} leaves no text to train on; lower it or give more text",
         options.validation_fraction);
  }
  if (validation != nullptr && validation->documents() == 0) {
    fail(
        ErrorKind::input,
        "--validation-fraction {} holds out no document: the last one begins before the cut; raise "
        "it, name --validation FILE, or hold out nothing with 0",
        options.validation_fraction);
  }
}

}  // namespace

Prepared prepare(const PrepareOptions& options, const PrepareProgress& progress) {
  require_options(options);
  const std::string output = with_output(options.output, [&] {
    const std::string place = resolve(options.output);
    require_free(place, options.force);
    return place;
  });
  std::unique_ptr<Tokenizer> tokenizer;
  const bool own_alphabet = options.tokenizer.kind == "char" && options.tokenizer.vocab.empty();
  if (!own_alphabet) tokenizer = load_tokenizer(options.tokenizer);

  const int64_t total = 2 * (bytes_of_files(options.inputs) + bytes_of_files(options.validation));
  int64_t done = 0;
  const std::function<void(int64_t)> advance = [&](int64_t bytes) {
    done += bytes;
    if (progress) progress(done, total);
  };
  const Survey texts = survey_texts(options.inputs, options.corpus, advance);
  const Survey held_out = survey_texts(options.validation, options.corpus, advance);
  require_text(texts);
  if (!options.validation.empty()) require_text(held_out);
  require_distinct(texts.files, held_out.files);
  if (own_alphabet) tokenizer = char_tokenizer_from_text(texts.alphabet + held_out.alphabet);
  const bool eot = decide_eot(options, texts, *tokenizer);

  StagingDirectory staging(output);
  save_tokenizer(*tokenizer, staging.subdirectory("tokenizer"));
  DatasetWriter train(staging.subdirectory("train"), "train", *tokenizer, eot);
  std::optional<DatasetWriter> validation;
  const int64_t cut = cut_of(options, texts);
  if (cut != kNever || !options.validation.empty()) {
    validation.emplace(staging.subdirectory("validation"), "validation", *tokenizer, eot);
  }
  DatasetWriter* const second = validation ? &*validation : nullptr;
  Encoder encoder(*tokenizer, options.chunk_bytes);
  encoder.write_to(&train, second, cut);
  encode_files(options, texts, encoder, advance);
  encoder.write_to(second, nullptr, kNever);
  encode_files(options, held_out, encoder, advance);
  require_parts(train, second, options);

  Prepared prepared;
  prepared.tokenizer = tokenizer->description();
  note(texts, prepared.notices);
  note(held_out, prepared.notices);
  prepared.train = train.finish(records_of(texts), skipped_in(texts));
  if (validation) {
    const Survey& source = options.validation.empty() ? texts : held_out;
    prepared.validation = validation->finish(records_of(source), skipped_in(source));
  }
  prepared.leftover = staging.publish();
  return prepared;
}

}  // namespace weft
