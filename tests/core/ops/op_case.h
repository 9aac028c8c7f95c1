// The one table of operation cases: what to run, on which shapes, and how exact it must be. Four
// readers: forward_test compares with a naive reference in double, storage_types_test the 16-bit
// types with f64, gradient_test compares backward with central differences, bench_ops times the
// rows.
//
// A case names its tensors ("slots"). The gradient of slot x is called d_x; before backward the
// gradients of outputs hold random weights w, so that what is differentiated is the sum of w * out.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/ops/ops.h"
#include "core/tensor/tensor.h"

namespace weft::cases {

enum class Role { input, output, updated };  // updated: filled like an input, changed by forward

struct Slot {
  std::string name;
  Shape shape;
  Role role = Role::input;
  // Inputs are uniform in [low, high); i32 slots are uniform integers of [low, high).
  double low = -1, high = 1;
  bool differentiable = true;
  // The error allowed in an output (or, for inputs, in their gradient), in units of the rounding
  // unit of the arithmetic (2^-23 or 2^-52), plus the same relative to the value. Each builder says
  // where its number comes from.
  double tolerance = 4;
  bool fixed_type = false;  // otherwise the type is the one the case is run in
  DType dtype = DType::f32;
  bool sums = false;    // of the accumulator's type instead, and so its gradient
  bool weight = false;  // the gradient is of the accumulator's type
  // In 16-bit types: roundings to storage that an output (or the gradient of an input) has seen,
  // each of a value up to 1 + its own size, or as many times larger as this is.
  double roundings = 1;
  double gradient_roundings = 1;

  DType type_in(DType run) const { return fixed_type ? dtype : sums ? accumulator(run) : run; }
  DType gradient_type_in(DType run) const { return weight ? accumulator(run) : type_in(run); }
};

using Values = std::map<std::string, std::vector<double>>;

// The tensors of one case in one type, in device memory, and the ops to run on them.
class Run {
 public:
  Run(Ops& run_ops, Device& device, Stream& run_stream, DType dtype)
      : ops(run_ops), stream(run_stream), device_(device), dtype_(dtype) {}

  Tensor operator()(const std::string& name) const { return tensors_.at(name); }
  DType dtype() const { return dtype_; }
  // A zeroed tensor of the case's type; made on first use, zeroed again on every later one.
  Tensor temporary(const std::string& name, const Shape& shape);

  void add(const std::string& name, const Shape& shape, DType dtype);
  void set(const std::string& name, const std::vector<double>& values);
  std::vector<double> get(const std::string& name) const;

  Ops& ops;
  Stream& stream;

 private:
  Device& device_;
  DType dtype_;
  std::map<std::string, Tensor> tensors_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
};

struct OpCase {
  std::string name;
  std::vector<Slot> slots;
  std::function<void(Run&)> forward;
  // Fills the outputs from the inputs, in double and the plainest way there is.
  std::function<void(Values&)> reference;
  std::function<void(Run&)> backward;      // absent if the op is not differentiable
  std::vector<std::string> overwritten{};  // gradients that backward sets; the others it adds to
  bool f32_only = false;
  bool perf = false;    // a row of the benchmark: too large for the plain reference
  bool ordered = true;  // the result must not depend on the thread count
  const Slot& slot(const std::string& slot_name) const;
};

inline std::ostream& operator<<(std::ostream& out, const OpCase& c) { return out << c.name; }

// Fills the inputs of `c` from `seed`: values that f32 holds exactly, the same for every type.
Values make_inputs(const OpCase& c, uint64_t seed);
// A Run with all slots (and, with gradients, all d_ slots) holding `values` where given.
Run make_run(const OpCase& c, Ops& ops, Device& device, Stream& stream, DType dtype,
             const Values& values, bool gradients);
double rounding_unit(DType dtype);
// What rounding to nearest changes a number of a 16-bit type by, relative to it; 0 for others.
double storage_unit(DType dtype);
// `value` as the type holds it.
double stored(double value, DType dtype);

std::vector<OpCase> matmul_cases();
std::vector<OpCase> norm_cases();
std::vector<OpCase> embedding_cases();
std::vector<OpCase> attention_cases();
std::vector<OpCase> cross_entropy_cases();
std::vector<OpCase> elementwise_cases();
std::vector<OpCase> optimizer_cases();
std::vector<OpCase> gradient_norm_cases();
std::vector<OpCase> decode_cases();
std::vector<OpCase> all_cases();

}  // namespace weft::cases
