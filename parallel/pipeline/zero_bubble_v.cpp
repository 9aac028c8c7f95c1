// ZB-V (arXiv 2401.10241, section 6): two chunks on each stage, whose chain goes down the stages
// and up again, so that the first and the last part are on stage 0. Every stage holds as much as
// the first stage of 1F1B, and waits for nothing but its first micro-batch where forward, input
// gradient and weight gradient cost the same and there are at least 2 * stages - 1 micro-batches.
//
// The order is found by running all stages with steps of equal length. In each unit of time a stage
// does the first of these that it can:
//   while it has forwards left    a forward, of the second chunk before the first, unless it holds
//                                 2 * stages units; a weight gradient, which gives one back; an
//                                 input gradient, of the first chunk before the second
//   then                          an input gradient, of the second chunk before the first; a weight
//                                 gradient
// So what is held waits for input gradients as long as there are forwards, and in the end, when
// input gradients follow each other closely, weight gradients are there to fill what would be idle.
#include <algorithm>
#include <array>
#include <deque>
#include <optional>

#include "core/base/error.h"
#include "parallel/pipeline/orders.h"

namespace weft {
namespace {

constexpr int kChunks = 2;

// One stage while the order is being found.
struct Stage {
  std::array<int, kChunks> forwards{}, backwards{};  // done, by chunk: always the first so many
  std::deque<Step> weights;                          // gradients that may be computed
  int held = 0;                                      // forward done, weight gradient not
  std::vector<Step> order;

  void take(const Step& step) {
    const auto chunk = static_cast<size_t>(step.chunk);
    order.push_back(step);
    if (step.act == Act::forward) {
      ++forwards[chunk], ++held;
    } else if (step.act == Act::backward) {
      ++backwards[chunk];
      weights.push_back({Act::backward_weights, step.microbatch, step.chunk});
    } else {
      weights.pop_front();
      --held;
    }
  }
};

class Search {
 public:
  explicit Search(const PipelineShape& shape)
      : shape_(shape),
        chain_{shape.stages, kChunks, ChainShape::v},
        stages_(static_cast<size_t>(shape.stages)) {}

  StageOrders run() {
    const int units = shape_.stages * shape_.microbatches * kChunks;
    constexpr int kStepsOfUnit = 3;
    for (int left = units * kStepsOfUnit; left > 0;) {
      // What a stage does now, others see in the next unit of time.
      std::vector<std::optional<Step>> next;
      for (int stage = 0; stage < shape_.stages; ++stage) next.push_back(choose(stage));
      const int before = left;
      for (size_t stage = 0; stage < next.size(); ++stage) {
        if (!next[stage]) continue;
        stages_[stage].take(*next[stage]);
        --left;
      }
      WEFT_CHECK(left < before, "no stage of zb-v can go on, with {} steps left", left);
    }
    StageOrders orders;
    for (Stage& s : stages_) orders.push_back(std::move(s.order));
    return orders;
  }

 private:
  // Nothing where the stage has to wait.
  std::optional<Step> choose(int stage) const {
    const Stage& s = stages_[static_cast<size_t>(stage)];
    const auto weights = [&] {
      return s.weights.empty() ? std::nullopt : std::optional(s.weights.front());
    };
    if (s.forwards[1] == shape_.microbatches) {
      for (const int chunk : {1, 0}) {
        if (const auto step = backward(stage, chunk)) return step;
      }
      return weights();
    }
    for (const int chunk : {1, 0}) {
      if (const auto step = forward(stage, chunk)) return step;
    }
    if (const auto step = weights()) return step;
    for (const int chunk : {0, 1}) {
      if (const auto step = backward(stage, chunk)) return step;
    }
    return std::nullopt;
  }

  std::optional<Step> forward(int stage, int chunk) const {
    const Stage& s = stages_[static_cast<size_t>(stage)];
    const int microbatch = s.forwards[static_cast<size_t>(chunk)];
    if (microbatch == shape_.microbatches || s.held == kChunks * shape_.stages) return std::nullopt;
    const int part = chain_.part({stage, chunk});
    if (part > 0) {
      const Chain::Place below = chain_.place(part - 1);
      const Stage& from = stages_[static_cast<size_t>(below.stage)];
      if (from.forwards[static_cast<size_t>(below.chunk)] <= microbatch) return std::nullopt;
    }
    return Step{Act::forward, microbatch, chunk};
  }

  std::optional<Step> backward(int stage, int chunk) const {
    const Stage& s = stages_[static_cast<size_t>(stage)];
    const int microbatch = s.backwards[static_cast<size_t>(chunk)];
    if (microbatch == s.forwards[static_cast<size_t>(chunk)]) return std::nullopt;
    const int part = chain_.part({stage, chunk});
    if (part + 1 < chain_.parts()) {
      const Chain::Place above = chain_.place(part + 1);
      const Stage& from = stages_[static_cast<size_t>(above.stage)];
      if (from.backwards[static_cast<size_t>(above.chunk)] <= microbatch) return std::nullopt;
    }
    return Step{Act::backward, microbatch, chunk};
  }

  PipelineShape shape_;
  Chain chain_;
  std::vector<Stage> stages_;
};

}  // namespace

StageOrders zero_bubble_v_orders(const PipelineShape& shape) { return Search(shape).run(); }

}  // namespace weft
