// Ops that check shapes and count working memory: planning runs the step over counting arenas with
// them.
#include <algorithm>

#include "core/ops/check.h"
#include "core/ops/each_op.h"

namespace weft {
namespace {

class CountingOps final : public RunsEach<CountingOps> {
 public:
  explicit CountingOps(WorkingMemory& needs)
      : needs_(needs), reserved_(in_working_memory_units(needs.always())) {}

  WorkingMemory& working_memory() override { return needs_; }
  void reserve(size_t bytes) override { reserved_ = std::max(reserved_, bytes); }
  size_t reserved() const override { return reserved_; }

  template <typename Op>
  void run_each(const Op& op, Stream&) {
    if constexpr (requires { needs_.bytes(op); }) count(needs_.bytes(op));
  }

  void attention_forward(const AttentionArgs& args, const Tensor& qkv, const Tensor& kv,
                         const Tensor& out, const Tensor& lse, Stream&) override {
    check_attention_forward(args, qkv, kv, out, lse);
    count(needs_.attention_forward(args, qkv, kv, lse));
  }
  void attention_backward(const AttentionArgs& args, const Tensor& dout, const Tensor& qkv,
                          const Tensor& kv, const Tensor& out, const Tensor& lse,
                          const Tensor& dqkv, const Tensor& dkv, Stream&) override {
    check_attention_backward(args, dout, qkv, kv, out, lse, dqkv, dkv);
    count(needs_.attention_backward(args, qkv, kv));
  }
  void attention_decode(const AttentionArgs& args, const Tensor& qkv, int64_t past,
                        const Tensor& k_cache, const Tensor& v_cache, const Tensor& out,
                        Stream&) override {
    check_attention_decode(args, qkv, past, k_cache, v_cache, out);
    count(needs_.attention_decode(args, qkv, k_cache));
  }
  void dropout(const DropoutArgs& args, const Tensor& x, const Tensor& y, Stream&) override {
    check_dropout(args, x, y);
  }
  void add(const Tensor& a, const Tensor& b, const Tensor& y, Stream&) override {
    check_add(a, b, y);
  }
  void scale(const Tensor& x, double, Stream&) override { check_float(x); }
  void fill(const Tensor&, double, Stream&) override {}
  void copy(const Tensor& from, const Tensor& to, Stream&) override { check_copy(from, to); }
  void copy_last_columns(const Tensor& from, const Tensor& to, Stream&) override {
    check_copy_last_columns(from, to);
  }
  void copy_stochastic(const Tensor& from, const Tensor& to, const RandomKey&,
                       const ElementMap& elements, Stream&) override {
    check_copy_stochastic(from, to, elements);
  }

 private:
  void count(size_t bytes) {
    reserved_ = std::max(reserved_,
                         in_working_memory_units(needs_.always()) + in_working_memory_units(bytes));
  }

  WorkingMemory& needs_;
  size_t reserved_;
};

}  // namespace

std::unique_ptr<Ops> make_counting_ops(WorkingMemory& needs) {
  return std::make_unique<CountingOps>(needs);
}

}  // namespace weft
