#include "tests/core/ops/op_case.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>

#include "core/kernels/storage.h"

namespace weft::cases {

Tensor Run::temporary(const std::string& name, const Shape& shape) {
  if (!tensors_.contains(name)) add(name, shape, dtype_);
  const Tensor t = tensors_.at(name);
  const std::vector<std::byte> zeros(t.bytes());
  device_.copy_to_device(t.raw(), zeros.data(), zeros.size(), stream);
  stream.synchronize();
  return t;
}

void Run::add(const std::string& name, const Shape& shape, DType dtype) {
  const auto bytes = static_cast<size_t>(shape.elements()) * size_of(dtype);
  buffers_.push_back(device_.allocate(bytes));
  tensors_[name] = Tensor(buffers_.back()->data(), shape, dtype);
}

namespace {

// Calls f with the elements of `t`, which lies in host memory.
template <typename F>
void with_elements(const Tensor& t, const F& f) {
  switch (t.dtype()) {
    case DType::f64:
      return f(t.data<double>());
    case DType::bf16:
      return f(t.data<Bf16>());
    case DType::f16:
      return f(t.data<F16>());
    case DType::i32:
      return f(t.data<int32_t>());
    case DType::i64:
      return f(t.data<int64_t>());
    default:
      return f(t.data<float>());
  }
}

}  // namespace

void Run::set(const std::string& name, const std::vector<double>& values) {
  const Tensor& t = tensors_.at(name);
  std::vector<std::byte> host(t.bytes());
  with_elements(Tensor(host.data(), t.shape(), t.dtype()), [&](auto* to) {
    using S = std::remove_pointer_t<decltype(to)>;
    for (size_t i = 0; i < values.size(); ++i) to[i] = kernels::store<S>(values[i]);
  });
  device_.copy_to_device(t.raw(), host.data(), host.size(), stream);
  stream.synchronize();
}

std::vector<double> Run::get(const std::string& name) const {
  const Tensor& t = tensors_.at(name);
  std::vector<double> values(static_cast<size_t>(t.elements()));
  std::vector<std::byte> host(t.bytes());
  device_.copy_to_host(host.data(), t.raw(), host.size(), stream);
  stream.synchronize();
  with_elements(Tensor(host.data(), t.shape(), t.dtype()), [&](const auto* from) {
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<double>(kernels::load(from[i]));
    }
  });
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
      const bool integer = s.fixed_type && (s.dtype == DType::i32 || s.dtype == DType::i64);
      const DType held = s.fixed_type && !integer ? s.dtype : DType::f32;
      for (size_t i = 0; i < v.size(); ++i) {
        const double x = s.low + (s.high - s.low) * uniform(random_word(key, i));
        v[i] = integer ? std::floor(x) : stored(static_cast<float>(x), held);
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
    run.add(s.name, s.shape, s.type_in(dtype));
    if (gradients) run.add("d_" + s.name, s.shape, s.gradient_type_in(dtype));
  }
  for (const auto& [name, v] : values) run.set(name, v);
  return run;
}

double rounding_unit(DType dtype) { return dtype == DType::f64 ? 0x1p-52 : 0x1p-23; }

double storage_unit(DType dtype) {
  if (dtype == DType::bf16) return 0x1p-8;
  return dtype == DType::f16 ? 0x1p-11 : 0;
}

double stored(double value, DType dtype) {
  const auto f32 = static_cast<float>(value);
  if (dtype == DType::bf16) return kernels::load(kernels::store<Bf16>(f32));
  if (dtype == DType::f16) return kernels::load(kernels::store<F16>(f32));
  return dtype == DType::f32 ? f32 : value;
}

std::vector<OpCase> all_cases() {
  std::vector<OpCase> all;
  for (auto* part :
       {&matmul_cases, &norm_cases, &embedding_cases, &attention_cases, &cross_entropy_cases,
        &elementwise_cases, &optimizer_cases, &gradient_norm_cases, &decode_cases}) {
    for (OpCase& c : (*part)()) all.push_back(std::move(c));
  }
  return all;
}

}  // namespace weft::cases
