// TimedOps: an Ops that measures how long each family of operations takes.
#pragma once

#include <array>
#include <chrono>
#include <string_view>

#include "core/ops/ops.h"

namespace weft {

// Forwards every operation to `inner`, waits for it, and adds its time to its family. Waiting after
// every operation costs overlap: use it to see shares, not to measure speed.
class TimedOps final : public Ops {
 public:
  enum Family { kMatmul, kAttention, kNorm, kEmbedding, kLoss, kElementwise, kOptimizer };
  static constexpr std::array<std::string_view, 7> kFamilies{
      "matmul", "attention", "norm", "embedding", "loss", "elementwise", "optimizer"};

  explicit TimedOps(Ops& inner) : inner_(inner) {}

  double seconds(size_t family) const { return seconds_[family]; }
  void reset() { seconds_ = {}; }

  void matmul(const MatmulArgs& args, Stream& s) override {
    time(kMatmul, s, [&] { inner_.matmul(args, s); });
  }
  void bias_backward(const Tensor& dy, const Tensor& db, Stream& s) override {
    time(kElementwise, s, [&] { inner_.bias_backward(dy, db, s); });
  }
  void norm_forward(const NormForwardArgs& args, Stream& s) override {
    time(kNorm, s, [&] { inner_.norm_forward(args, s); });
  }
  void norm_backward(const NormBackwardArgs& args, Stream& s) override {
    time(kNorm, s, [&] { inner_.norm_backward(args, s); });
  }
  void embedding_forward(const Tensor& tokens, const Tensor& table, int64_t vocab_begin,
                         const Tensor& positions, int64_t position_begin, const Tensor& y,
                         Stream& s) override {
    time(kEmbedding, s, [&] {
      inner_.embedding_forward(tokens, table, vocab_begin, positions, position_begin, y, s);
    });
  }
  void embedding_backward(const Tensor& tokens, const Tensor& dy, int64_t vocab_begin,
                          const Tensor& dtable, const Tensor& dpositions, int64_t position_begin,
                          Stream& s) override {
    time(kEmbedding, s, [&] {
      inner_.embedding_backward(tokens, dy, vocab_begin, dtable, dpositions, position_begin, s);
    });
  }
  void attention_forward(const AttentionArgs& args, const Tensor& qkv, const Tensor& out,
                         const Tensor& lse, Stream& s) override {
    time(kAttention, s, [&] { inner_.attention_forward(args, qkv, out, lse, s); });
  }
  void attention_backward(const AttentionArgs& args, const Tensor& dout, const Tensor& qkv,
                          const Tensor& out, const Tensor& lse, const Tensor& dqkv,
                          Stream& s) override {
    time(kAttention, s, [&] { inner_.attention_backward(args, dout, qkv, out, lse, dqkv, s); });
  }
  void attention_decode(const AttentionArgs& args, const Tensor& qkv, int64_t past,
                        const Tensor& k_cache, const Tensor& v_cache, const Tensor& out,
                        Stream& s) override {
    time(kAttention, s,
         [&] { inner_.attention_decode(args, qkv, past, k_cache, v_cache, out, s); });
  }
  void softmax_stats(const Tensor& logits, const Tensor& targets, int64_t vocab_begin,
                     int64_t valid, const Tensor& row_max, const Tensor& row_sum,
                     const Tensor& target_logit, Stream& s) override {
    time(kLoss, s, [&] {
      inner_.softmax_stats(logits, targets, vocab_begin, valid, row_max, row_sum, target_logit, s);
    });
  }
  void rescale_sums(const Tensor& sum, const Tensor& from, const Tensor& to, Stream& s) override {
    time(kLoss, s, [&] { inner_.rescale_sums(sum, from, to, s); });
  }
  void cross_entropy_loss(const Tensor& targets, const Tensor& row_max, const Tensor& row_sum,
                          const Tensor& target_logit, const Tensor& loss_sum, Stream& s) override {
    time(kLoss, s,
         [&] { inner_.cross_entropy_loss(targets, row_max, row_sum, target_logit, loss_sum, s); });
  }
  void cross_entropy_backward(const Tensor& logits, const Tensor& targets, int64_t vocab_begin,
                              int64_t valid, const Tensor& row_max, const Tensor& row_sum,
                              double factor, Stream& s) override {
    time(kLoss, s, [&] {
      inner_.cross_entropy_backward(logits, targets, vocab_begin, valid, row_max, row_sum, factor,
                                    s);
    });
  }
  void dropout(const DropoutArgs& args, const Tensor& x, const Tensor& y, Stream& s) override {
    time(kElementwise, s, [&] { inner_.dropout(args, x, y, s); });
  }
  void add(const Tensor& a, const Tensor& b, const Tensor& y, Stream& s) override {
    time(kElementwise, s, [&] { inner_.add(a, b, y, s); });
  }
  void scale(const Tensor& x, double factor, Stream& s) override {
    time(kElementwise, s, [&] { inner_.scale(x, factor, s); });
  }
  void fill(const Tensor& x, double value, Stream& s) override {
    time(kElementwise, s, [&] { inner_.fill(x, value, s); });
  }
  void copy(const Tensor& from, const Tensor& to, Stream& s) override {
    time(kElementwise, s, [&] { inner_.copy(from, to, s); });
  }
  void adamw(const AdamWArgs& args, Stream& s) override {
    time(kOptimizer, s, [&] { inner_.adamw(args, s); });
  }
  void sum_squares(const Tensor& x, const Tensor& partials, Stream& s) override {
    time(kOptimizer, s, [&] { inner_.sum_squares(x, partials, s); });
  }
  void clip_factor(const Tensor& partials, double max_norm, const Tensor& norm, const Tensor& clip,
                   Stream& s) override {
    time(kOptimizer, s, [&] { inner_.clip_factor(partials, max_norm, norm, clip, s); });
  }

 private:
  template <typename Body>
  void time(Family family, Stream& stream, const Body& body) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point begin = Clock::now();
    body();
    stream.synchronize();
    seconds_[family] += std::chrono::duration<double>(Clock::now() - begin).count();
  }

  Ops& inner_;
  std::array<double, kFamilies.size()> seconds_{};
};

}  // namespace weft
