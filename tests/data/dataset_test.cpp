#include "data/dataset.h"

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "data/batch.h"
#include "tests/data/scratch.h"

namespace weft {
namespace {

using Order = DataConfig::Order;
using testing::ElementsAre;
using testing::ElementsAreArray;

// Sources whose ids count up through all of them, so that an id is its place in the stream.
std::vector<std::unique_ptr<TokenSource>> counting_sources(const std::vector<int>& sizes) {
  std::vector<std::unique_ptr<TokenSource>> sources;
  int first = 0;
  for (int size : sizes) {
    sources.push_back(memory_tokens(iota_ids(size, first)));
    first += size;
  }
  return sources;
}

struct Sample {
  std::vector<TokenId> inputs;
  std::vector<TokenId> targets;
};

Sample sample_of(const Dataset& data, int64_t index) {
  const auto length = static_cast<size_t>(data.length());
  Sample sample{std::vector<TokenId>(length, -7), std::vector<TokenId>(length, -7)};
  data.fill(index, sample.inputs, sample.targets);
  return sample;
}

TEST(Dataset, targets_are_the_next_tokens) {
  const Dataset data(counting_sources({50}), {.length = 4, .seed = 3});
  for (int64_t i = 0; i < 30; ++i) {
    const Sample sample = sample_of(data, i);
    EXPECT_THAT(sample.inputs, ElementsAreArray(iota_ids(4, sample.inputs[0])));
    EXPECT_THAT(sample.targets, ElementsAreArray(iota_ids(4, sample.inputs[0] + 1)));
    EXPECT_EQ(sample.inputs[0] % 4, 0);
  }
}

TEST(Dataset, counts_the_windows) {
  const auto windows = [](int tokens, int64_t length, int64_t stride) {
    return Dataset(counting_sources({tokens}), {.length = length, .stride = stride})
        .samples_per_epoch();
  };
  EXPECT_EQ(windows(5, 4, 0), 1);
  EXPECT_EQ(windows(8, 4, 0), 1);
  EXPECT_EQ(windows(9, 4, 0), 2);
  EXPECT_EQ(windows(9, 4, 1), 5);
  EXPECT_EQ(windows(9, 4, 2), 3);
  EXPECT_EQ(windows(21, 4, 8), 3);
}

TEST(Dataset, sees_each_window_once_in_an_epoch_and_another_order_in_the_next) {
  const Dataset data(counting_sources({60, 1, 40}), {.length = 5, .stride = 3, .seed = 11});
  const int64_t windows = data.samples_per_epoch();
  EXPECT_EQ(windows, (101 - 6) / 3 + 1);
  std::vector<std::vector<int>> epochs;
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<int> begins;
    for (int64_t i = 0; i < windows; ++i) {
      begins.push_back(sample_of(data, epoch * windows + i).inputs[0]);
    }
    epochs.push_back(begins);
    std::sort(begins.begin(), begins.end());
    for (int64_t w = 0; w < windows; ++w) EXPECT_EQ(begins[static_cast<size_t>(w)], 3 * w);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
}

TEST(Dataset, windows_cross_from_one_source_to_the_next) {
  const Dataset data(counting_sources({3, 1, 5}), {.length = 8, .shuffle = false});
  EXPECT_THAT(sample_of(data, 0).inputs, ElementsAreArray(iota_ids(8)));
  EXPECT_THAT(sample_of(data, 0).targets, ElementsAreArray(iota_ids(8, 1)));
}

TEST(Dataset, evaluation_order_is_fixed_and_limited) {
  const Dataset data(counting_sources({50}), {.length = 4, .shuffle = false, .limit = 3});
  EXPECT_EQ(data.samples_per_epoch(), 3);
  for (int64_t i = 0; i < 7; ++i) {
    EXPECT_EQ(sample_of(data, i).inputs[0], 4 * (i % 3));
  }
}

TEST(Dataset, a_sample_does_not_depend_on_what_was_read_before) {
  const SampleSpec spec{.length = 4, .order = Order::documents, .seed = 5};
  const auto make = [&] {
    std::vector<std::unique_ptr<TokenSource>> sources;
    sources.push_back(memory_tokens(iota_ids(40), {0, 7, 7, 19, 40}));
    return Dataset(std::move(sources), spec);
  };
  const Dataset forward = make(), backward = make();
  std::map<int64_t, std::vector<TokenId>> expected;
  for (int64_t i = 0; i < 40; ++i) expected[i] = sample_of(forward, i).inputs;
  for (int64_t i = 39; i >= 0; --i) EXPECT_EQ(sample_of(backward, i).inputs, expected[i]) << i;
}

// The ids name (document, place): 100 * document + place.
class PackedDocuments : public testing::Test {
 protected:
  static Dataset make(uint64_t seed, int64_t length, bool shuffle = true) {
    const std::vector<int> sizes = {3, 0, 5, 1, 4, 12, 6};
    std::vector<TokenId> ids;
    std::vector<int64_t> begins = {0};
    for (size_t d = 0; d < sizes.size(); ++d) {
      for (int id : iota_ids(sizes[d], 100 * static_cast<int>(d))) ids.push_back(id);
      begins.push_back(static_cast<int64_t>(ids.size()));
    }
    std::vector<std::unique_ptr<TokenSource>> sources;
    sources.push_back(memory_tokens(ids, begins));
    sources.push_back(memory_tokens(iota_ids(10, 1000)));
    return Dataset(std::move(sources),
                   {.length = length, .order = Order::documents, .shuffle = shuffle, .seed = seed});
  }

  // The stream of an epoch, as its windows show it.
  static std::vector<TokenId> stream(const Dataset& data, int64_t epoch) {
    std::vector<TokenId> ids;
    for (int64_t i = 0; i < data.samples_per_epoch(); ++i) {
      const Sample sample = sample_of(data, epoch * data.samples_per_epoch() + i);
      if (!ids.empty()) {
        EXPECT_EQ(ids.back(), sample.inputs[0]) << "windows overlap by one token";
        ids.pop_back();
      }
      ids.insert(ids.end(), sample.inputs.begin(), sample.inputs.end());
      ids.push_back(sample.targets.back());
    }
    return ids;
  }
};

TEST_F(PackedDocuments, keeps_documents_whole_and_sees_all_of_them) {
  const Dataset data = make(1, 8);  // 41 tokens: five windows, no tail
  EXPECT_EQ(data.samples_per_epoch(), 5);
  const auto ids = stream(data, 0);
  ASSERT_EQ(ids.size(), 41u);
  EXPECT_EQ(std::set<TokenId>(ids.begin(), ids.end()).size(), 41u);
  for (size_t i = 1; i < ids.size(); ++i) {
    const bool continues = ids[i] == ids[i - 1] + 1;
    const bool begins = ids[i] % 100 == 0;
    EXPECT_TRUE(continues || begins) << ids[i - 1] << " then " << ids[i];
  }
}

TEST_F(PackedDocuments, shuffles_anew_each_epoch_and_by_seed) {
  const Dataset data = make(1, 8);
  EXPECT_NE(stream(data, 0), stream(data, 1));
  EXPECT_NE(stream(data, 0), stream(make(2, 8), 0));
  EXPECT_EQ(stream(data, 3), stream(make(1, 8), 3));
}

TEST_F(PackedDocuments, unshuffled_is_the_stream_itself) {
  const Dataset packed = make(1, 3, false);
  EXPECT_THAT(sample_of(packed, 0).inputs, ElementsAre(0, 1, 2));
  EXPECT_THAT(sample_of(packed, 1).inputs, ElementsAre(200, 201, 202));
}

// Every way to divide a batch over ranks and micro-batches gives the same samples to the step, and
// each rank a contiguous part.
TEST(Batch, is_the_same_for_any_division) {
  const Dataset data(counting_sources({500}), {.length = 4, .seed = 9});
  const auto batch = [&](int64_t step, int64_t dp, int64_t rows) {
    const BatchPlan plan(24, dp, rows);
    std::vector<std::vector<TokenId>> inputs;
    for (int64_t rank = 0; rank < dp; ++rank) {
      for (int64_t micro = 0; micro < plan.micro_batches(); ++micro) {
        for (int64_t row = 0; row < rows; ++row) {
          inputs.push_back(sample_of(data, plan.sample(step, rank, micro, row)).inputs);
        }
      }
    }
    return inputs;
  };
  for (int64_t step : {0, 1, 7}) {
    const auto expected = batch(step, 1, 24);
    for (auto [dp, rows] : {std::pair{1, 6}, {2, 12}, {2, 3}, {4, 6}, {4, 2}, {3, 8}, {24, 1}}) {
      EXPECT_EQ(batch(step, dp, rows), expected) << dp << " x " << rows;
    }
  }
  EXPECT_NE(batch(0, 1, 24), batch(1, 1, 24));
}

TEST(Batch, refuses_what_does_not_divide) {
  expect_error(ErrorKind::config, {"24 samples", "5", "multiple of 10"},
               [] { BatchPlan(24, 5, 2); });
}

TEST(Dataset, refuses_a_corpus_shorter_than_one_window) {
  expect_error(ErrorKind::input, {"64 tokens", "65", "train.sequence_length"},
               [] { Dataset(counting_sources({64}), {.length = 64}); });
}

TEST(Dataset, refuses_specs_that_contradict_themselves) {
  expect_error(ErrorKind::config, {"data.stride", "documents"}, [] {
    Dataset(counting_sources({64}), {.length = 8, .stride = 4, .order = Order::documents});
  });
  expect_error(ErrorKind::config, {"limit of 2"},
               [] { Dataset(counting_sources({64}), {.length = 8, .limit = 2}); });
}

TEST(Dataset, digest_tells_content_order_and_seed) {
  const auto digest = [](int tokens, const SampleSpec& spec) {
    return Dataset(counting_sources({tokens}), spec).digest();
  };
  const std::string base = digest(50, {.length = 4, .seed = 1});
  EXPECT_EQ(base, digest(50, {.length = 4, .seed = 1}));
  EXPECT_NE(base, digest(51, {.length = 4, .seed = 1}));
  EXPECT_NE(base, digest(50, {.length = 4, .seed = 2}));
  EXPECT_NE(base, digest(50, {.length = 4, .stride = 2, .seed = 1}));
}

// Two epochs at once from many threads, so that the cached document order changes under them.
TEST_F(PackedDocuments, may_be_read_by_several_threads) {
  const Dataset data = make(1, 8);
  const auto first = stream(data, 0), second = stream(data, 1);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) EXPECT_EQ(stream(data, t % 2), t % 2 == 0 ? first : second);
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace weft
