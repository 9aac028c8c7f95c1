// Dataset: token sources cut into training samples, in an order that is a pure function of the
// seed.
//
//   std::vector<std::unique_ptr<TokenSource>> sources;
//   sources.push_back(open_tokens("runs/data/train", DataConfig::Format::automatic));
//   const Dataset data(std::move(sources), {.length = 64, .seed = 1337});
//   data.fill(plan.sample(step, dp_rank, micro, row), inputs, targets);
//
// A sample is named by its global index: 0, 1, 2, ... without end. Epoch e holds the samples
// [e * samples_per_epoch(), (e + 1) * samples_per_epoch()), each window once, shuffled by (seed,
// e). Nothing depends on the number of ranks or on what was read before, so a position in the data
// is one number.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "data/data_config.h"
#include "data/permutation.h"
#include "data/token_file.h"

namespace weft {

struct SampleSpec {
  int64_t length;      // T: tokens of a sample's inputs, and of its targets
  int64_t stride = 0;  // tokens between the starts of neighbouring windows; 0 means `length`
  // windows:   the sources are one stream; window w is tokens [w * stride, w * stride + T + 1)
  // documents: each epoch shuffles the documents, joins them to one stream and cuts it into windows
  //            at stride T; the samples follow this stream
  DataConfig::Order order = DataConfig::Order::windows;
  bool shuffle = true;  // false: sample g is window g % samples_per_epoch(), as evaluation wants
  uint64_t seed = 0;
  int64_t limit = 0;  // only the first `limit` windows exist; 0 means all. Only without shuffle
};

// Const methods may be called from several threads at once.
class Dataset {
 public:
  // Joins the sources in the order given. Throws Error{input} where they hold no whole window or
  // come from different tokenizers, Error{config} where the spec contradicts itself.
  Dataset(std::vector<std::unique_ptr<TokenSource>> sources, const SampleSpec& spec);

  // Fills inputs and targets, T each: targets are the inputs moved on by one token. sample >= 0.
  // Does not allocate. Throws as TokenSource::read does.
  void fill(int64_t sample, std::span<TokenId> inputs, std::span<TokenId> targets) const;

  int64_t length() const { return spec_.length; }
  int64_t samples_per_epoch() const { return windows_; }
  int64_t tokens() const { return begins_.back(); }  // of all sources
  std::span<const std::unique_ptr<TokenSource>> sources() const { return sources_; }
  // Of everything that determines the samples: content, order, lengths, seed.
  std::string digest() const;

 private:
  // The documents of one epoch, in its order: ends[k] = tokens in the first k + 1 documents.
  struct Epoch {
    std::mutex mutex;
    int64_t number = -1;
    std::vector<int64_t> ends;
  };

  int64_t window_of(int64_t sample) const;
  Permutation document_order(int64_t epoch) const;
  void load_epoch(int64_t number) const;  // with the mutex held
  void read_stream(int64_t begin, std::span<TokenId> out) const;
  void read_documents(int64_t epoch, int64_t begin, std::span<TokenId> out) const;

  std::vector<std::unique_ptr<TokenSource>> sources_;
  SampleSpec spec_;
  std::vector<int64_t> begins_;     // of each source in the stream, and the end
  std::vector<int64_t> documents_;  // of each document in the stream, and the end; order: documents
  int64_t windows_ = 0;
  // The one thing that is remembered between calls; a cache, so it changes no result.
  std::unique_ptr<Epoch> epoch_;
};

// Opens `paths` and builds a dataset that holds every id below `vocab_size`.
// Throws as open_tokens, require_vocabulary and Dataset do.
Dataset open_dataset(std::span<const std::string> paths, DataConfig::Format format,
                     const SampleSpec& spec, int64_t vocab_size, ContentCheck& check);

}  // namespace weft
