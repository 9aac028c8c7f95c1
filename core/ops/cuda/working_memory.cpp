#include "core/ops/cuda/working_memory.h"

#include <algorithm>

#include "core/kernels/dropout.h"
#include "core/ops/cuda/partials.h"

namespace weft {
namespace {

bool is_half(DType dtype) { return dtype == DType::bf16 || dtype == DType::f16; }

bool plain(const op::Matmul& args) {
  return args.bias.empty() && args.pre_activation.empty() && args.activation == Activation::none &&
         args.activation_gradient == Activation::none;
}

size_t in_f32(int64_t elements) { return static_cast<size_t>(elements) * sizeof(float); }

}  // namespace

bool has_cublas_epilogue(const op::Matmul& args) {
  const bool keeps = !args.pre_activation.empty();
  if (args.activation == Activation::none && args.activation_gradient == Activation::none) {
    return !keeps;
  }
  if (!is_half(args.c.dtype()) || args.c.shape().back() % 8 != 0) return false;
  if (args.activation_gradient != Activation::none) {
    const bool in_place = args.c.raw() != nullptr && args.activation_input.raw() == args.c.raw();
    return args.activation_gradient == Activation::gelu_tanh &&
           args.activation == Activation::none && args.bias.empty() && !keeps && !in_place;
  }
  return args.activation == Activation::gelu_tanh;
}

// Rows of c are rows of a; of a transposed one they are columns, of which no block can be taken.
int64_t unfinished_rows(const op::Matmul& args) {
  const int64_t rows = args.c.shape().rows();
  if (args.transpose_a) return rows;
  return std::clamp<int64_t>(kMostUnfinishedProducts / args.c.shape().back(), 1, rows);
}

AttentionProblem attention_problem(const AttentionSpec& spec, const Tensor& qkv, const Tensor& kv) {
  AttentionProblem s{};
  s.batch = qkv.shape()[0];
  s.heads = spec.heads;
  s.kv_heads = spec.kv_heads;
  s.dim = spec.head_dim;
  s.q_width = qkv.shape().back();
  s.kv_width = kv.shape().back();
  s.scale = static_cast<float>(spec.scale);
  s.merge = spec.merge;
  s.queries = spec.queries;
  s.keys = spec.keys;
  if (spec.dropout > 0) {
    s.keep_factor = static_cast<float>(1.0 / (1.0 - spec.dropout));
    s.threshold = kernels::dropout_threshold(spec.dropout);
  }
  s.key = spec.dropout_key;
  s.first_sample = spec.first_sample;
  s.first_head = spec.first_head;
  s.global_heads = spec.global_heads > 0 ? spec.global_heads : spec.heads;
  return s;
}

size_t CudaWorkingMemory::bytes(const op::Matmul& args) {
  expect_one_type(args, "cuBLASLt as weft calls it");
  if (!args.bias_gradient.empty()) {
    return in_f32(cuda::blocks_of_rows(args.k()) * args.m());
  }
  if (plain(args) || has_cublas_epilogue(args)) return 0;
  return in_f32(unfinished_rows(args) * args.c.shape().back());
}

size_t CudaWorkingMemory::bytes(const op::NormBackward& args) {
  return in_f32(cuda::blocks_of_rows(args.x.shape().rows()) * 2 * args.x.shape().back());
}

size_t CudaWorkingMemory::bytes(const op::AttentionForward& args) {
  if (args.lse.empty()) return 0;
  const int64_t bytes =
      cudnn_bytes(attention_problem(args.spec, args.qkv, args.kv), args.qkv.dtype(), false);
  return static_cast<size_t>(std::max<int64_t>(bytes, 0));
}

size_t CudaWorkingMemory::bytes(const op::AttentionBackward& args) {
  const AttentionProblem problem = attention_problem(args.spec, args.qkv, args.kv);
  const int64_t bytes = cudnn_bytes(problem, args.qkv.dtype(), true);
  if (bytes >= 0) return static_cast<size_t>(bytes);
  return in_f32(problem.batch * problem.heads * problem.queries.count);
}

int64_t CudaWorkingMemory::cudnn_bytes(const AttentionProblem& p, DType dtype, bool backward) {
  const bool whole = !p.merge && p.queries == p.keys && p.queries.count == p.queries.length;
  if (!is_half(dtype) || !whole || p.keep_factor != 0.0f || p.dim % 8 != 0 || p.dim > 256) {
    return -1;
  }
  if (!backward) return 0;
  const int64_t tokens = p.queries.count;
  const int64_t of_query = deterministic_ ? tokens * 2 : p.dim * 4;
  const int64_t bytes = p.batch * p.heads * tokens * (of_query + 2 * 4);
  return bytes > kMostAttentionWorkspace ? -1 : bytes;
}

}  // namespace weft
