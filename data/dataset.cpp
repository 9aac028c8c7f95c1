#include "data/dataset.h"

#include <algorithm>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "data/file.h"

namespace weft {
namespace {

void require_spec(const SampleSpec& spec) {
  const bool documents = spec.order == DataConfig::Order::documents;
  if (spec.length < 1 || spec.stride < 1) {
    fail(ErrorKind::config, "samples of {} tokens at stride {}; both must be at least 1",
         spec.length, spec.stride);
  }
  if (documents && spec.stride != spec.length) {
    fail(ErrorKind::config,
         "data.stride={} with data.order=documents: packed documents are cut at the sequence "
         "length {}; leave data.stride out or use data.order=windows",
         spec.stride, spec.length);
  }
  if (spec.limit < 0 || (spec.limit > 0 && spec.shuffle)) {
    fail(ErrorKind::config, "a limit of {} samples fits only an order that is not shuffled",
         spec.limit);
  }
}

void require_one_tokenizer(std::span<const std::unique_ptr<TokenSource>> sources) {
  const TokenInfo* first = nullptr;
  for (const auto& source : sources) {
    const TokenInfo& info = source->info();
    if (!info.tokenizer_digest) continue;
    if (first == nullptr) first = &info;
    if (*info.tokenizer_digest == *first->tokenizer_digest) continue;
    fail(ErrorKind::input,
         "{} and {} come from different tokenizers (digests {} and {}); prepare both with one",
         first->path, info.path, *first->tokenizer_digest, *info.tokenizer_digest);
  }
}

std::string paths_of(std::span<const std::unique_ptr<TokenSource>> sources) {
  std::string text = sources.empty() ? "no data" : sources[0]->info().path;
  if (sources.size() > 1) text += fmt::format(" and {} more", sources.size() - 1);
  return text;
}

}  // namespace

Dataset::Dataset(std::vector<std::unique_ptr<TokenSource>> sources, const SampleSpec& spec)
    : sources_(std::move(sources)), spec_(spec), begins_{0}, epoch_(std::make_unique<Epoch>()) {
  if (spec_.stride == 0) spec_.stride = spec_.length;
  require_spec(spec_);
  require_one_tokenizer(sources_);
  const bool by_document = spec_.order == DataConfig::Order::documents;
  for (const auto& source : sources_) {
    if (by_document) {
      const auto documents = source->documents();
      for (size_t d = 0; d + 1 < documents.size(); ++d) {
        documents_.push_back(begins_.back() + documents[d]);
      }
    }
    begins_.push_back(begins_.back() + source->size());
  }
  if (tokens() < spec_.length + 1) {
    fail(ErrorKind::input,
         "{}: {} tokens, one window needs {} (sequence length {} and the token after it); use more "
         "text or a shorter train.sequence_length",
         paths_of(sources_), tokens(), spec_.length + 1, spec_.length);
  }
  windows_ = (tokens() - 1 - spec_.length) / spec_.stride + 1;
  if (spec_.limit > 0) windows_ = std::min(windows_, spec_.limit);
  if (by_document) {
    documents_.push_back(tokens());
    epoch_->ends.resize(documents_.size() - 1);
  }
}

int64_t Dataset::window_of(int64_t sample) const {
  const int64_t index = sample % windows_;
  if (!spec_.shuffle || spec_.order == DataConfig::Order::documents) return index;
  const RandomKey key{spec_.seed, stream_of("data.windows"),
                      static_cast<uint32_t>(sample / windows_)};
  return Permutation(key, windows_)(index);
}

void Dataset::fill(int64_t sample, std::span<TokenId> inputs, std::span<TokenId> targets) const {
  const auto length = static_cast<size_t>(spec_.length);
  WEFT_CHECK(sample >= 0 && inputs.size() == length && targets.size() == length,
             "sample {}: {} inputs and {} targets of length {}", sample, inputs.size(),
             targets.size(), length);
  const int64_t begin = window_of(sample) * spec_.stride;
  if (spec_.order == DataConfig::Order::documents) {
    read_documents(sample / windows_, begin, inputs);
    read_documents(sample / windows_, begin + spec_.length, targets.last(1));
  } else {
    read_stream(begin, inputs);
    read_stream(begin + spec_.length, targets.last(1));
  }
  std::copy(inputs.begin() + 1, inputs.end(), targets.begin());
}

void Dataset::read_stream(int64_t begin, std::span<TokenId> out) const {
  auto at = std::upper_bound(begins_.begin(), begins_.end(), begin) - 1;
  while (!out.empty()) {
    const int64_t here = std::min(*(at + 1) - begin, static_cast<int64_t>(out.size()));
    const auto count = static_cast<size_t>(here);
    sources_[static_cast<size_t>(at - begins_.begin())]->read(begin - *at, out.first(count));
    out = out.subspan(count);
    begin += here;
    ++at;
  }
}

Permutation Dataset::document_order(int64_t epoch) const {
  const RandomKey key{spec_.seed, stream_of("data.documents"), static_cast<uint32_t>(epoch)};
  return Permutation(key, static_cast<int64_t>(documents_.size()) - 1);
}

void Dataset::load_epoch(int64_t number) const {
  if (epoch_->number == number) return;
  const Permutation order = document_order(number);
  int64_t end = 0;
  for (int64_t k = 0; k < order.size(); ++k) {
    const auto document = static_cast<size_t>(spec_.shuffle ? order(k) : k);
    end += documents_[document + 1] - documents_[document];
    epoch_->ends[static_cast<size_t>(k)] = end;
  }
  epoch_->number = number;
}

void Dataset::read_documents(int64_t epoch, int64_t begin, std::span<TokenId> out) const {
  const std::lock_guard lock(epoch_->mutex);
  load_epoch(epoch);
  const Permutation order = document_order(epoch);
  const auto& ends = epoch_->ends;
  auto k = std::upper_bound(ends.begin(), ends.end(), begin) - ends.begin();
  for (; !out.empty(); ++k) {
    const int64_t left = ends[static_cast<size_t>(k)] - begin;
    const auto document = static_cast<size_t>(spec_.shuffle ? order(k) : k);
    const int64_t here = std::min(left, static_cast<int64_t>(out.size()));
    read_stream(documents_[document + 1] - left, out.first(static_cast<size_t>(here)));
    out = out.subspan(static_cast<size_t>(here));
    begin += here;
  }
}

std::string Dataset::digest() const {
  DigestStream digest;
  for (const auto& source : sources_) digest.add(source->info().digest);
  const bool documents = spec_.order == DataConfig::Order::documents;
  digest.add(fmt::format("order {} length {} stride {} shuffle {} seed {} limit {}",
                         documents ? "documents" : "windows", spec_.length, spec_.stride,
                         spec_.shuffle, spec_.seed, spec_.limit));
  return to_string(digest.finish());
}

Dataset open_dataset(std::span<const std::string> paths, DataConfig::Format format,
                     const SampleSpec& spec, int64_t vocab_size, ContentCheck& check) {
  std::vector<std::unique_ptr<TokenSource>> sources;
  for (const std::string& path : paths) {
    sources.push_back(open_tokens(path, format, check));
    require_vocabulary(*sources.back(), vocab_size);
  }
  return Dataset(std::move(sources), spec);
}

}  // namespace weft
