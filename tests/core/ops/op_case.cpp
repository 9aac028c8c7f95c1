#include "tests/core/ops/op_case.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace weft::cases {

Tensor Run::temporary(const std::string& name, const Shape& shape) {
  if (!tensors_.contains(name)) add(name, shape, dtype_);
  const Tensor t = tensors_.at(name);
  std::memset(t.raw(), 0, t.bytes());
  return t;
}

void Run::add(const std::string& name, const Shape& shape, DType dtype) {
  const auto bytes = static_cast<size_t>(shape.elements()) * size_of(dtype);
  buffers_.push_back(device_.allocate(bytes));
  tensors_[name] = Tensor(buffers_.back()->data(), shape, dtype);
}

void Run::set(const std::string& name, const std::vector<double>& values) {
  const Tensor& t = tensors_.at(name);
  for (size_t i = 0; i < values.size(); ++i) {
    if (t.dtype() == DType::f32) t.data<float>()[i] = static_cast<float>(values[i]);
    if (t.dtype() == DType::f64) t.data<double>()[i] = values[i];
    if (t.dtype() == DType::i32) t.data<int32_t>()[i] = static_cast<int32_t>(values[i]);
  }
}

std::vector<double> Run::get(const std::string& name) const {
  const Tensor& t = tensors_.at(name);
  std::vector<double> values(static_cast<size_t>(t.elements()));
  for (size_t i = 0; i < values.size(); ++i) {
    if (t.dtype() == DType::f32) values[i] = t.data<float>()[i];
    if (t.dtype() == DType::f64) values[i] = t.data<double>()[i];
    if (t.dtype() == DType::i32) values[i] = t.data<int32_t>()[i];
  }
  return values;
}

const Slot& OpCase::slot(const std::string& slot_name) const {
  return *std::find_if(slots.begin(), slots.end(),
                       [&](const Slot& s) { return s.name == slot_name; });
}

Values make_inputs(const OpCase& c, uint64_t seed) {
  Values values;
  for (const Slot& s : c.slots) {
    std::vector<double> v(static_cast<size_t>(s.shape.elements()));
    if (s.role != Role::output) {
      const RandomKey key{.seed = seed, .stream = stream_of(s.name), .step = 0};
      const bool integer = s.fixed_type && s.dtype == DType::i32;
      for (size_t i = 0; i < v.size(); ++i) {
        const double x = s.low + (s.high - s.low) * uniform(random_word(key, i));
        v[i] = integer ? std::floor(x) : static_cast<double>(static_cast<float>(x));
      }
    }
    values[s.name] = std::move(v);
  }
  return values;
}

Run make_run(const OpCase& c, Ops& ops, Device& device, Stream& stream, DType dtype,
             const Values& values, bool gradients) {
  Run run(ops, device, stream, dtype);
  for (const Slot& s : c.slots) {
    const DType type = s.fixed_type ? s.dtype : dtype;
    run.add(s.name, s.shape, type);
    if (gradients) run.add("d_" + s.name, s.shape, type);
  }
  for (const auto& [name, v] : values) run.set(name, v);
  return run;
}

double rounding_unit(DType dtype) { return dtype == DType::f32 ? 0x1p-23 : 0x1p-52; }

std::vector<OpCase> all_cases() {
  std::vector<OpCase> all;
  for (auto* part : {&matmul_cases, &norm_cases, &embedding_cases, &attention_cases,
                     &cross_entropy_cases, &elementwise_cases, &optimizer_cases}) {
    for (OpCase& c : (*part)()) all.push_back(std::move(c));
  }
  return all;
}

}  // namespace weft::cases
