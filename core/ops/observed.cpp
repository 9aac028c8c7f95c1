#include "core/ops/observed.h"

#include <algorithm>
#include <initializer_list>

#include "core/ops/each_op.h"

namespace weft {
namespace {

double bytes_of(std::initializer_list<Tensor> tensors) {
  size_t sum = 0;
  for (const Tensor& t : tensors) sum += t.bytes();
  return static_cast<double>(sum);
}

// Pairs of a query and a key that it sees, of one head and sample.
int64_t visible_pairs(const TokenShare& queries, const TokenShare& keys) {
  int64_t pairs = 0;
  for (int64_t i = 0; i < queries.count; ++i) {
    const int64_t behind = queries.at(i) + 1;
    pairs += std::clamp<int64_t>(behind - keys.first, 0, keys.run) +
             std::clamp<int64_t>(behind - keys.second, 0, keys.count - keys.run);
  }
  return pairs;
}

// `products` of q and k or of probabilities and v: two forward, five backward.
double flops_of(const AttentionArgs& args, const Tensor& qkv, int products) {
  const auto pairs = static_cast<double>(visible_pairs(args.queries, args.keys));
  return 2.0 * products * pairs * static_cast<double>(qkv.shape()[0] * args.heads * args.head_dim);
}

class ObservedOps final : public RunsEach<ObservedOps> {
 public:
  ObservedOps(Ops& inner, OpObserver& observer) : inner_(inner), observer_(observer) {}

  WorkingMemory& working_memory() override { return inner_.working_memory(); }
  void reserve(size_t bytes) override { inner_.reserve(bytes); }
  size_t reserved() const override { return inner_.reserved(); }

  template <typename Op>
  void run_each(const Op& op, Stream& s) {
    const Cost cost = op.cost();
    observe({Op::kName.text, Op::kName.family, op.sizes(), cost.flops, cost.bytes}, s,
            [&] { inner_(op, s); });
  }

  void attention_forward(const AttentionArgs& args, const Tensor& qkv, const Tensor& kv,
                         const Tensor& out, const Tensor& lse, Stream& s) override {
    observe({"attention_forward", OpFamily::attention, {qkv, kv}, flops_of(args, qkv, 2)}, s,
            [&] { inner_.attention_forward(args, qkv, kv, out, lse, s); });
  }
  void attention_backward(const AttentionArgs& args, const Tensor& dout, const Tensor& qkv,
                          const Tensor& kv, const Tensor& out, const Tensor& lse,
                          const Tensor& dqkv, const Tensor& dkv, Stream& s) override {
    observe({"attention_backward", OpFamily::attention, {qkv, kv}, flops_of(args, qkv, 5)}, s,
            [&] { inner_.attention_backward(args, dout, qkv, kv, out, lse, dqkv, dkv, s); });
  }
  void attention_decode(const AttentionArgs& args, const Tensor& qkv, int64_t past,
                        const Tensor& k_cache, const Tensor& v_cache, const Tensor& out,
                        Stream& s) override {
    observe({"attention_decode", OpFamily::attention, {qkv, k_cache}}, s,
            [&] { inner_.attention_decode(args, qkv, past, k_cache, v_cache, out, s); });
  }
  void dropout(const DropoutArgs& args, const Tensor& x, const Tensor& y, Stream& s) override {
    observe({"dropout", OpFamily::elementwise, {x}, 0, bytes_of({x, y})}, s,
            [&] { inner_.dropout(args, x, y, s); });
  }
  void add(const Tensor& a, const Tensor& b, const Tensor& y, Stream& s) override {
    observe({"add", OpFamily::elementwise, {y}, 0, bytes_of({a, b, y})}, s,
            [&] { inner_.add(a, b, y, s); });
  }
  void scale(const Tensor& x, double factor, Stream& s) override {
    observe({"scale", OpFamily::elementwise, {x}, 0, bytes_of({x, x})}, s,
            [&] { inner_.scale(x, factor, s); });
  }
  void fill(const Tensor& x, double value, Stream& s) override {
    observe({"fill", OpFamily::elementwise, {x}, 0, bytes_of({x})}, s,
            [&] { inner_.fill(x, value, s); });
  }
  void copy(const Tensor& from, const Tensor& to, Stream& s) override {
    observe({"copy", OpFamily::elementwise, {to}, 0, bytes_of({from, to})}, s,
            [&] { inner_.copy(from, to, s); });
  }
  void copy_last_columns(const Tensor& from, const Tensor& to, Stream& s) override {
    observe({"copy_last_columns", OpFamily::elementwise, {to}, 0, bytes_of({to, to})}, s,
            [&] { inner_.copy_last_columns(from, to, s); });
  }
  void copy_stochastic(const Tensor& from, const Tensor& to, const RandomKey& key,
                       const ElementMap& elements, Stream& s) override {
    observe({"copy_stochastic", OpFamily::elementwise, {to}, 0, bytes_of({from, to})}, s,
            [&] { inner_.copy_stochastic(from, to, key, elements, s); });
  }

 private:
  template <typename Body>
  void observe(const OpCall& call, Stream& stream, const Body& body) {
    observer_.before(call, stream);
    body();
    observer_.after(call, stream);
  }

  Ops& inner_;
  OpObserver& observer_;
};

}  // namespace

std::unique_ptr<Ops> make_observed(Ops& inner, OpObserver& observer) {
  return std::make_unique<ObservedOps>(inner, observer);
}

}  // namespace weft
