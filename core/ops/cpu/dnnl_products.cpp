#include "core/ops/cpu/dnnl_products.h"

#include <dnnl.h>

#include <array>
#include <cstring>
#include <dnnl.hpp>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/ops/cpu/slices.h"
#include "core/ops/working_memory.h"

namespace weft::detail {
namespace {

using dnnl::memory;
using Descriptor = dnnl::matmul::primitive_desc;

memory::data_type type_of(DType dtype) {
  WEFT_CHECK(dtype == DType::f32 || dtype == DType::bf16, "no products of {} by oneDNN",
             name(dtype));
  return dtype == DType::f32 ? memory::data_type::f32 : memory::data_type::bf16;
}

// A matrix of `rows` x `columns` whose rows, or columns if transposed, lie `stride` apart.
memory::desc matrix(int64_t rows, int64_t columns, int64_t stride, bool transposed,
                    memory::data_type type) {
  const memory::dims strides =
      transposed ? memory::dims{1, stride} : memory::dims{stride, int64_t{1}};
  return memory::desc({rows, columns}, type, strides);
}

// The rows of the whole b in memory.
int64_t b_stride(const ProductShape& s) { return s.transpose_b ? s.k : s.n; }

// A vector whose elements lie apart, which oneDNN gets as a copy whose elements lie side by
// side: 3.7 computes wrong products of the one row of a transposed a, and of the one column of a
// wider out, for it takes their elements to be neighbours.
struct ScatteredVector {
  int64_t count = 0, stride = 0;  // in elements; count 0 where nothing is to be copied
  size_t element = 0;             // bytes

  size_t bytes() const { return in_working_memory_units(static_cast<size_t>(count) * element); }
  void gather(const std::byte* from, std::byte* to) const {
    for (int64_t i = 0; i < count; ++i) std::memcpy(at(to, i, 1), at(from, i, stride), element);
  }
  void scatter(const std::byte* from, std::byte* to) const {
    for (int64_t i = 0; i < count; ++i) std::memcpy(at(to, i, stride), at(from, i, 1), element);
  }

 private:
  template <typename Byte>
  Byte* at(Byte* first, int64_t i, int64_t apart) const {
    return first + static_cast<size_t>(i * apart) * element;
  }
};

ScatteredVector row_of_a(const ProductShape& s, const Slice& slice, DType operands) {
  if (!s.transpose_a || slice.rows() != 1 || s.a_stride == 1) return {};
  return {.count = s.k, .stride = s.a_stride, .element = size_of(operands)};
}

ScatteredVector column_of_out(const ProductShape& s, const Slice& slice) {
  if (slice.columns() != 1 || s.out_stride == 1) return {};
  return {.count = slice.rows(), .stride = s.out_stride, .element = sizeof(float)};
}

struct Matrices {
  memory::desc a, b, out;

  Matrices(const ProductShape& s, const Slice& slice, DType operands)
      : a(row_of_a(s, slice, operands).count > 0
              ? matrix(1, s.k, s.k, false, type_of(operands))
              : matrix(slice.rows(), s.k, s.a_stride, s.transpose_a, type_of(operands))),
        b(matrix(s.k, slice.columns(), b_stride(s), s.transpose_b, type_of(operands))),
        out(matrix(slice.rows(), slice.columns(),
                   column_of_out(s, slice).count > 0 ? 1 : s.out_stride, false,
                   memory::data_type::f32)) {}
};

// False where oneDNN has no such product on this CPU.
Descriptor describe(const ProductShape& shape, const Slice& slice, DType operands,
                    const dnnl::engine& engine) {
  const Matrices m(shape, slice, operands);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (shape.accumulate) {
    dnnl::post_ops after;
    after.append_sum(1.0F);
    attributes.set_post_ops(after);
  }
#if DNNL_VERSION_MAJOR >= 3
  return Descriptor(engine, m.a, m.b, m.out, attributes, true);
#else
  return Descriptor(dnnl::matmul::desc(m.a, m.b, m.out), attributes, engine, true);
#endif
}

// One slice's primitive with the memory objects that its calls point elsewhere: nothing is made in
// a call.
struct SliceProduct {
  dnnl::matmul primitive;
  dnnl::stream stream;
  memory a, b, out, scratchpad;
  ScatteredVector scattered_a, scattered_out;
  size_t primitive_bytes;
  std::byte* room = nullptr;  // of a call

  SliceProduct(const Descriptor& d, const dnnl::engine& engine, const ScatteredVector& row,
               const ScatteredVector& column)
      : primitive(d),
        stream(engine),
        a(d.src_desc(), engine, DNNL_MEMORY_NONE),
        b(d.weights_desc(), engine, DNNL_MEMORY_NONE),
        out(d.dst_desc(), engine, DNNL_MEMORY_NONE),
        scratchpad(d.scratchpad_desc(), engine, DNNL_MEMORY_NONE),
        scattered_a(row),
        scattered_out(column),
        primitive_bytes(in_working_memory_units(d.scratchpad_desc().get_size())) {}

  size_t scratchpad_bytes() const {
    return primitive_bytes + scattered_a.bytes() + scattered_out.bytes();
  }

  int run(const std::byte* a_at, const std::byte* b_at, float* out_at) {
    auto* out_bytes = reinterpret_cast<std::byte*>(out_at);
    std::byte* a_copy = room + primitive_bytes;
    std::byte* out_copy = a_copy + scattered_a.bytes();
    scattered_a.gather(a_at, a_copy);
    // Also what is not added to: it holds the mark by which an unwritten product is known.
    scattered_out.gather(out_bytes, out_copy);
    const bool copied = scattered_out.count > 0;
    const int status =
        execute(scattered_a.count > 0 ? a_copy : a_at, b_at, copied ? out_copy : out_bytes);
    scattered_out.scatter(out_copy, out_bytes);
    return status;
  }

 private:
  int execute(const std::byte* a_at, const std::byte* b_at, std::byte* out_at) {
    scratchpad.set_data_handle(room);
    a.set_data_handle(const_cast<std::byte*>(a_at));
    b.set_data_handle(const_cast<std::byte*>(b_at));
    out.set_data_handle(out_at);
    const std::array<dnnl_exec_arg_t, 4> arguments{{{DNNL_ARG_SRC, a.get()},
                                                    {DNNL_ARG_WEIGHTS, b.get()},
                                                    {DNNL_ARG_DST, out.get()},
                                                    {DNNL_ARG_SCRATCHPAD, scratchpad.get()}}};
    const dnnl_status_t status = dnnl_primitive_execute(
        primitive.get(), stream.get(), static_cast<int>(arguments.size()), arguments.data());
    return status == dnnl_success ? dnnl_stream_wait(stream.get()) : status;
  }
};

// By the number of their slice; an empty slice has none.
struct Product {
  Slices slices;
  std::map<int64_t, SliceProduct> parts;
  size_t scratchpad_bytes = 0;
};

}  // namespace

struct DnnlProducts::State {
  // Generation has a shape per prompt; a training step has a few dozen in all.
  static constexpr size_t kMostProducts = 1024;

  DType operands;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  std::map<std::pair<ProductShape, int>, Product> products;

  Product& find(const ProductShape& shape, int threads) {
    const std::pair key(shape, threads);
    const auto found = products.find(key);
    if (found != products.end()) return found->second;
    if (products.size() >= kMostProducts) products.clear();
    return products.try_emplace(key, make(shape, threads)).first->second;
  }

  Product make(const ProductShape& shape, int threads) const {
    use_one_thread();
    Product product{.slices = Slices(shape.m, shape.n, shape.k, threads), .parts = {}};
    for (int64_t i = 0; i < product.slices.count(); ++i) {
      const Slice slice = product.slices.at(i);
      if (slice.rows() == 0 || slice.columns() == 0) continue;
      const Descriptor descriptor = describe(shape, slice, operands, engine);
      WEFT_CHECK(descriptor, "oneDNN has no {}x{}x{} product of {}", slice.rows(), slice.columns(),
                 shape.k, name(operands));
      const auto& part = product.parts
                             .try_emplace(i, descriptor, engine, row_of_a(shape, slice, operands),
                                          column_of_out(shape, slice))
                             .first->second;
      product.scratchpad_bytes += part.scratchpad_bytes();
    }
    return product;
  }
};

DnnlProducts::DnnlProducts(DType operands) {
  if (!serves(operands)) {
    fail(ErrorKind::environment,
         "cpu.bf16_products: native, but oneDNN has no products of {} for this CPU, which lacks "
         "AVX-512 or AMX; use auto or converted",
         name(operands));
  }
  state_ = std::make_unique<State>();
  state_->operands = operands;
}

DnnlProducts::~DnnlProducts() = default;

DType DnnlProducts::operands() const { return state_->operands; }

size_t DnnlProducts::kept() const { return state_->products.size(); }

bool DnnlProducts::serves(DType operands) {
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      const ProductShape shape{.m = 256,
                               .n = 384,
                               .k = 512,
                               .a_stride = transpose_a ? 256 : 512,
                               .out_stride = 384,
                               .transpose_a = transpose_a,
                               .transpose_b = transpose_b};
      const Descriptor descriptor = describe(shape, {0, shape.m, 0, shape.n}, operands, engine);
      // The reference implementation computes anything, element by element.
      if (!descriptor || std::string_view(descriptor.impl_info_str()).starts_with("ref")) {
        return false;
      }
    }
  }
  return true;
}

bool DnnlProducts::bf16_is_faster() {
  // The values are sets of bits, of which a later instruction set has more.
  const auto has = static_cast<unsigned>(dnnl_get_effective_cpu_isa());
  const auto wanted = static_cast<unsigned>(dnnl_cpu_isa_avx512_core_amx);
  return (has & wanted) == wanted;
}

size_t DnnlProducts::scratchpad_bytes(const ProductShape& shape, int threads) {
  return state_->find(shape, threads).scratchpad_bytes;
}

void DnnlProducts::run(const ProductShape& shape, const void* a, const void* b, float* out,
                       int threads, void* scratchpad) {
  Product& product = state_->find(shape, threads);
  auto* room = static_cast<std::byte*>(scratchpad);
  for (auto& [i, part] : product.parts) {
    part.room = room;
    room += part.scratchpad_bytes();
  }
  const auto bytes = static_cast<int64_t>(size_of(state_->operands));
  const auto* a_bytes = static_cast<const std::byte*>(a);
  const auto* b_bytes = static_cast<const std::byte*>(b);
  for_each_slice(product.slices, threads, out, shape.out_stride, shape.accumulate,
                 [&](int64_t i, const Slice& s) {
                   use_one_thread();
                   return product.parts.at(i).run(
                       a_bytes + bytes * (shape.transpose_a ? s.m0 : s.m0 * shape.a_stride),
                       b_bytes + bytes * (shape.transpose_b ? s.n0 * b_stride(shape) : s.n0),
                       out + s.m0 * shape.out_stride + s.n0);
                 });
}

std::shared_ptr<DnnlProducts> make_bf16_products(Bf16Products choice) {
  const bool wanted = choice == Bf16Products::automatic ? DnnlProducts::bf16_is_faster()
                                                        : choice == Bf16Products::native;
  return wanted ? std::make_shared<DnnlProducts>(DType::bf16) : nullptr;
}

}  // namespace weft::detail
