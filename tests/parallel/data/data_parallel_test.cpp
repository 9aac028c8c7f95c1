// What DataParallel makes of gradients and updates, without a model: ranks that are threads, and
// whole numbers, whose sums are exact in any order.
#include "parallel/data/data_parallel.h"

#include <gtest/gtest.h>

#include "core/backends/backends.h"
#include "parallel/comm/bootstrap.h"

namespace weft {
namespace {

constexpr int64_t kMicroBatches = 2;

// Of three units, longer and shorter than a block of a share.
std::vector<ParamSpec> specs() {
  return {{.name = "a", .shape = {1500}, .units = {0}},
          {.name = "b", .shape = {3, 700}, .units = {1}},
          {.name = "c", .shape = {5}, .units = {1}},
          {.name = "d", .shape = {2100}, .units = {2}}};
}

// The gradient of element `i` of parameter `p` in a micro-batch of a rank.
float gradient(int rank, int64_t micro_batch, const Parameter& p, int64_t i) {
  return static_cast<float>((rank + 1) * 1000 + micro_batch * 100 +
                            static_cast<int64_t>(p.index) * 10 + i % 7);
}
float updated(const Parameter& p, int64_t i) {
  return static_cast<float>(static_cast<int64_t>(p.index) * 5000 + i);
}

class Rank {
 public:
  Rank(Bootstrap& bootstrap, const MeshShape& shape, int zero)
      : mesh_(bootstrap, shape), set_(shape, mesh_.coord(), {.zero = zero, .bucket_bytes = 4096}) {
    for (const ParamSpec& spec : specs()) set_.add(spec);
    set_.allocate(values_, &grads_, DType::f32);
    for (const auto& p : set_) {
      ops_->operator()(op::Fill{.x = p->own_grad, .value = 0}, *compute_);
    }
    for (size_t b = 0; b < set_.layout().buckets().size(); ++b) {
      ops_->operator()(op::Fill{.x = set_.bucket(b).grads, .value = 0}, *compute_);
    }
    data_parallel_.emplace(set_, mesh_, *device_, *communication_, *ops_);
  }

  void backward() {
    data_parallel_->begin_step(kMicroBatches);
    for (int64_t m = 0; m < kMicroBatches; ++m) {
      for (const int64_t unit : {2, 1, 0}) {
        before(unit, Pass::backward);
        for (size_t i = set_.size(); i-- > 0;) {
          Parameter& p = set_[i];
          if (p.unit != unit) continue;
          for (int64_t e = 0; e < p.local.elements(); ++e) {
            p.grad.data<float>()[e] += gradient(mesh_.rank(), m, p, e);
          }
          data_parallel_->gradients()->gradient_ready(p, *compute_);
        }
      }
    }
    data_parallel_->finish_gradients(*compute_);
    communication_->synchronize();
  }

  void expect_sums() {
    for (const auto& p : set_) {
      for (int64_t e = 0; e < p->own.size(); ++e) {
        float sum = 0;
        for (int rank = 0; rank < mesh_.world().size(); ++rank) {
          for (int64_t m = 0; m < kMicroBatches; ++m)
            sum += gradient(rank, m, *p, p->own.begin + e);
        }
        ASSERT_EQ(p->own_grad.data<float>()[e], sum) << p->spec.name << " " << e;
      }
    }
  }

  // Every owner writes its share; afterwards everybody reads everything, unit by unit.
  void update() {
    for (const auto& p : set_) {
      for (int64_t e = 0; e < p->own.size(); ++e) {
        p->own_master.data<float>()[e] = updated(*p, p->own.begin + e);
      }
      if (data_parallel_->updates() != nullptr) {
        data_parallel_->updates()->value_updated(*p, *compute_);
      }
    }
    data_parallel_->finish_updates(*compute_);
    communication_->synchronize();
    data_parallel_->begin_step(kMicroBatches);
    for (const int64_t unit : {0, 1, 2}) {
      before(unit, Pass::forward);
      communication_->synchronize();
      for (const auto& p : set_) {
        if (p->unit != unit) continue;
        for (int64_t e = 0; e < p->local.elements(); ++e) {
          ASSERT_EQ(p->value.data<float>()[e], updated(*p, e)) << p->spec.name << " " << e;
        }
      }
    }
  }

 private:
  void before(int64_t unit, Pass pass) {
    if (data_parallel_->units() != nullptr) {
      data_parallel_->units()->before_unit(unit, pass, *compute_);
    }
  }

  static constexpr size_t kBytes = 1 << 20;
  std::unique_ptr<Device> device_ = make_device({});
  std::unique_ptr<Stream> compute_ = device_->make_stream(StreamKind::compute);
  std::unique_ptr<Stream> communication_ = device_->make_stream(StreamKind::communication);
  std::unique_ptr<Ops> ops_ = make_ops(*device_);
  Arena values_{"values", *device_, kBytes}, grads_{"grads", *device_, kBytes};
  Mesh mesh_;
  ParameterSet set_;
  std::optional<DataParallel> data_parallel_;
};

class DataParallelTest : public ::testing::TestWithParam<int> {};

TEST_P(DataParallelTest, SumsOverMicroBatchesAndRanksAndBringsUpdatesBack) {
  for (const MeshShape& shape : {MeshShape{}, MeshShape{.dp = 3}, MeshShape{.dp = 2, .cp = 2}}) {
    run_local_ranks(shape.world(), [&](Bootstrap& bootstrap) {
      Rank rank(bootstrap, shape, GetParam());
      rank.backward();
      rank.expect_sums();
      rank.update();
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Zero, DataParallelTest, ::testing::Values(0, 1, 2, 3));

}  // namespace
}  // namespace weft
