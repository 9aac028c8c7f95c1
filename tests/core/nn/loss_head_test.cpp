// The head of a vocabulary so large that its logits are made in several chunks and their rows are
// padded, against the loss and its gradients in double.
#include "core/nn/loss_head.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/backends/backends.h"
#include "core/base/philox.h"

namespace weft {
namespace {

constexpr int64_t kVocab = 70001, kRows = 600, kWidth = 3;
constexpr double kScale = 0.25;

class LossHeadTest : public testing::Test {
 protected:
  LossHeadTest() : parameters_(MeshShape{}, MeshCoord{}) {
    weight_ = parameters_.add(
        {.name = "head", .shape = {kVocab, kWidth}, .init = {.kind = Init::Kind::ones}});
    parameters_.allocate(weights_, &gradients_, DType::f32);
    x_ = weights_.allocate({kRows, kWidth}, DType::f32);
    dx_ = weights_.allocate({kRows, kWidth}, DType::f32);
    targets_ = weights_.allocate({kRows}, DType::i32);
    loss_ = weights_.allocate({1}, DType::f64);
    fill(weight_->value, 1);
    fill(x_, 2);
    for (int64_t i = 0; i < kRows; ++i) {
      const uint32_t word = random_word({.seed = 7, .stream = 3}, static_cast<uint64_t>(i));
      targets_.data<int32_t>()[i] = i % 7 == 3 ? -1 : static_cast<int32_t>(word % kVocab);
    }
  }

  static void fill(const Tensor& t, uint32_t stream) {
    for (int64_t i = 0; i < t.elements(); ++i) {
      const RandomKey key{.seed = 7, .stream = stream};
      t.data<float>()[i] =
          static_cast<float>(2 * uniform(random_word(key, static_cast<uint64_t>(i))) - 1);
    }
  }

  // Adds the gradients in double to dx and dw; returns the loss.
  double reference(std::vector<double>& dx, std::vector<double>& dw) const {
    const float *x = x_.data<float>(), *w = weight_->value.data<float>();
    double loss = 0;
    std::vector<double> p(kVocab);
    for (int64_t r = 0; r < kRows; ++r) {
      const int32_t target = targets_.data<int32_t>()[r];
      if (target < 0) continue;
      double sum = 0, hit = 0;
      for (int64_t v = 0; v < kVocab; ++v) {
        double logit = 0;
        for (int64_t c = 0; c < kWidth; ++c) {
          logit += static_cast<double>(x[r * kWidth + c]) * static_cast<double>(w[v * kWidth + c]);
        }
        if (v == target) hit = logit;
        sum += p[static_cast<size_t>(v)] = std::exp(logit);
      }
      loss += std::log(sum) - hit;
      for (int64_t v = 0; v < kVocab; ++v) {
        const double g = kScale * (p[static_cast<size_t>(v)] / sum - (v == target ? 1 : 0));
        for (int64_t c = 0; c < kWidth; ++c) {
          const auto at = [&](int64_t row) { return static_cast<size_t>(row * kWidth + c); };
          dx[at(r)] += g * static_cast<double>(w[at(v)]);
          dw[at(v)] += g * static_cast<double>(x[at(r)]);
        }
      }
    }
    return loss;
  }

  std::unique_ptr<Device> device_ = make_device({.threads = 2});
  std::unique_ptr<Stream> stream_ = device_->make_stream(StreamKind::compute);
  std::unique_ptr<Ops> ops_ = make_ops(*device_);
  Arena weights_{"weights", *device_, size_t{4} << 20};
  Arena gradients_{"gradients", *device_, size_t{2} << 20};
  Arena work_{"work", *device_, size_t{96} << 20};
  ParameterSet parameters_;
  Parameter* weight_ = nullptr;
  Tensor x_, dx_, targets_, loss_;
};

// A logit is a sum of 3 products of numbers up to 1, a gradient a sum of up to kVocab or kRows of
// probabilities, which add up to 1, times such numbers: errors stay within some tens of f32's
// rounding unit.
TEST_F(LossHeadTest, LargeVocabulariesAreComputedInChunks) {
  Context ctx{.ops = *ops_, .stream = *stream_, .work = work_};
  LossHead head(*weight_);
  head.backward(x_, targets_, kScale, loss_, dx_, ctx);
  stream_->synchronize();
  EXPECT_LT(work_.peak(), size_t{kRows} * kVocab * sizeof(float) * 3 / 4) << "in one chunk";
  std::vector<double> dx(kRows * kWidth), dw(kVocab * kWidth);
  const double loss = reference(dx, dw);
  constexpr double kBound = 64 * 0x1p-23;
  EXPECT_NEAR(loss_.data<double>()[0], loss, kBound * loss);
  for (size_t i = 0; i < dx.size(); ++i) ASSERT_NEAR(dx_.data<float>()[i], dx[i], kBound) << i;
  const float* got = weight_->grad.data<float>();
  for (size_t i = 0; i < dw.size(); ++i) ASSERT_NEAR(got[i], dw[i], kBound) << i;
}

}  // namespace
}  // namespace weft
