// The one file that includes the frontend of cuDNN, which takes most of a minute to compile.
#include "core/ops/cuda/cudnn_attention.h"

#include <cudnn_frontend.h>

#include <unordered_map>
#include <vector>

#include "core/base/error.h"
#include "core/ops/cuda/dynamic_library.h"

// What the frontend looks its functions up in, with NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING.
namespace cudnn_frontend {
void* cudnn_dlhandle = nullptr;
}

namespace weft {
namespace {

namespace fe = cudnn_frontend;
using fe::graph::Tensor_attributes;
using TensorPointer = std::shared_ptr<Tensor_attributes>;

// Names of a graph's tensors, by which their addresses are given.
enum Uid : int64_t { kQ = 1, kK, kV, kO, kStats, kDo, kDq, kDk, kDv };

void check_status(fe::error_t status, const char* what) {
  if (status.is_good()) return;
  fail(ErrorKind::environment, "cuDNN cannot {}: {}", what, status.get_message());
}

// [batch, heads, tokens, dim] within rows of `width` elements.
TensorPointer tensor(fe::graph::Graph& graph, Uid uid, const AttentionProblem& p, int64_t heads,
                     int64_t tokens, int64_t width) {
  return graph.tensor(Tensor_attributes()
                          .set_uid(uid)
                          .set_dim({p.batch, heads, tokens, p.dim})
                          .set_stride({tokens * width, p.dim, width, 1}));
}

void set_output(const TensorPointer& t, Uid uid, const AttentionProblem& p, int64_t heads,
                int64_t tokens, int64_t width) {
  t->set_output(true)
      .set_uid(uid)
      .set_dim({p.batch, heads, tokens, p.dim})
      .set_stride({tokens * width, p.dim, width, 1});
}

void set_stats(Tensor_attributes& t, const AttentionProblem& p) {
  const int64_t tokens = p.queries.count;
  t.set_uid(kStats)
      .set_dim({p.batch, p.heads, tokens, 1})
      .set_stride({p.heads * tokens, tokens, 1, 1})
      .set_data_type(fe::DataType_t::FLOAT);
}

void add_forward(fe::graph::Graph& graph, const AttentionProblem& p) {
  const int64_t tokens = p.queries.count;
  const auto q = tensor(graph, kQ, p, p.heads, tokens, p.q_width);
  const auto k = tensor(graph, kK, p, p.kv_heads, p.keys.count, p.kv_width);
  const auto v = tensor(graph, kV, p, p.kv_heads, p.keys.count, p.kv_width);
  const auto options = fe::graph::SDPA_attributes()
                           .set_name("attention")
                           .set_generate_stats(true)
                           .set_causal_mask(true)
                           .set_attn_scale(p.scale);
  const auto [out, stats] = graph.sdpa(q, k, v, options);
  set_output(out, kO, p, p.heads, tokens, p.out_width());
  set_stats(stats->set_output(true), p);
}

void add_backward(fe::graph::Graph& graph, const AttentionProblem& p, bool deterministic) {
  const int64_t tokens = p.queries.count;
  const auto q = tensor(graph, kQ, p, p.heads, tokens, p.q_width);
  const auto k = tensor(graph, kK, p, p.kv_heads, p.keys.count, p.kv_width);
  const auto v = tensor(graph, kV, p, p.kv_heads, p.keys.count, p.kv_width);
  const auto out = tensor(graph, kO, p, p.heads, tokens, p.out_width());
  const auto dout = tensor(graph, kDo, p, p.heads, tokens, p.out_width());
  Tensor_attributes described;
  set_stats(described, p);
  const auto stats = graph.tensor(described);
  const auto options = fe::graph::SDPA_backward_attributes()
                           .set_name("attention_backward")
                           .set_causal_mask(true)
                           .set_attn_scale(p.scale)
                           .set_deterministic_algorithm(deterministic);
  const auto [dq, dk, dv] = graph.sdpa_backward(q, k, v, out, dout, stats, options);
  set_output(dq, kDq, p, p.heads, tokens, p.q_width);
  set_output(dk, kDk, p, p.kv_heads, p.keys.count, p.kv_width);
  set_output(dv, kDv, p, p.kv_heads, p.keys.count, p.kv_width);
}

// What no graph of ours describes; empty if there is nothing.
const char* beyond_graphs(const AttentionProblem& p, DType dtype, bool backward) {
  if (dtype != DType::bf16 && dtype != DType::f16) return "not a 16-bit type";
  if (p.merge || p.queries != p.keys || p.queries != TokenShare::whole(p.queries.length)) {
    return "not whole sequences";
  }
  if (p.keep_factor != 0.0f) return "dropout has masks of its own there";
  // The frontend puts a sum in f32 for each query before cuDNN's own working memory.
  const int64_t sums = p.batch * p.heads * p.queries.count;
  if (backward && sums % 32 != 0) return "its working memory would begin at an odd address";
  return "";
}

// cuDNN, handed to its frontend as long as this lives.
class CudnnLibrary {
 public:
  CudnnLibrary() : library_(fmt::format("libcudnn.so.{}", CUDNN_MAJOR), WEFT_CUDA_LIBRARIES) {
    // The frontend asks for CUDA's runtime by its bare name, and finds what is open already. Where
    // this does not find it, the frontend may, or says that it does not.
    try {
      DynamicLibrary(fmt::format("libcudart.so.{}", CUDART_VERSION / 1000), WEFT_CUDA_LIBRARIES);
    } catch (const Error&) {
    }
    WEFT_CHECK(fe::cudnn_dlhandle == nullptr, "cuDNN is open already");
    fe::cudnn_dlhandle = library_.handle();
  }
  ~CudnnLibrary() { fe::cudnn_dlhandle = nullptr; }
  CudnnLibrary(const CudnnLibrary&) = delete;
  CudnnLibrary& operator=(const CudnnLibrary&) = delete;

 private:
  DynamicLibrary library_;
};

}  // namespace

struct CudnnAttention::Context {
  CudnnLibrary library;
  cudnnHandle_t handle = nullptr;                      // null without a GPU
  std::shared_ptr<const fe::DeviceProperties> device;  // null with one
  int compute_capability = 0;

  ~Context() {
    if (handle != nullptr) fe::detail::destroy_handle(handle);
  }
};

struct CudnnAttention::Plan {
  fe::graph::Graph graph;
  int64_t workspace = -1;  // bytes; -1 if cuDNN does not serve it
  std::string why_not;

  // Sets the workspace, or returns what is in the way.
  fe::error_t build(const Context& context, const AttentionProblem& p, DType dtype, bool backward,
                    bool deterministic) {
    graph.set_io_data_type(dtype == DType::bf16 ? fe::DataType_t::BFLOAT16 : fe::DataType_t::HALF)
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
    if (context.device != nullptr) {
      graph.set_device_properties(context.device);
      graph.set_sm_version(context.compute_capability);
    }
    backward ? add_backward(graph, p, deterministic) : add_forward(graph, p);
    const bool here = context.device == nullptr;
    fe::error_t status = graph.validate();
    if (status.is_good()) {
      status = here ? graph.build_operation_graph(context.handle) : graph.build_operation_graph();
    }
    if (status.is_good()) status = graph.create_execution_plans({fe::HeurMode_t::A});
    if (status.is_good()) status = graph.check_support();
    if (!here) {  // the rest needs the GPU itself
      workspace = 0;
      return status;
    }
    if (status.is_good()) status = graph.build_plans();
    return status.is_good() ? graph.get_workspace_size(workspace) : status;
  }
};

CudnnAttention::CudnnAttention(bool deterministic)
    : deterministic_(deterministic), context_(std::make_unique<Context>()) {
  if (fe::detail::create_handle(&context_->handle) != CUDNN_STATUS_SUCCESS) {
    fail(ErrorKind::environment, "cuDNN cannot start on this GPU");
  }
}

CudnnAttention::CudnnAttention(const std::string& device_properties, int compute_capability,
                               bool deterministic)
    : deterministic_(deterministic), context_(std::make_unique<Context>()) {
  // cuDNN's own form of a serialized device: the text with its final zero.
  std::vector<uint8_t> bytes(device_properties.begin(), device_properties.end());
  bytes.push_back(0);
  auto device = std::make_shared<fe::DeviceProperties>();
  check_status(device->deserialize(bytes), "read device properties");
  context_->device = device;
  context_->compute_capability = compute_capability;
}

CudnnAttention::~CudnnAttention() { plans_.clear(); }

CudnnAttention::Plan& CudnnAttention::plan(const AttentionProblem& p, DType dtype, bool backward) {
  const Key key{p.batch,   p.heads,    p.kv_heads, p.dim, p.queries.count,
                p.q_width, p.kv_width, p.scale,    dtype, backward};
  std::unique_ptr<Plan>& known = plans_[key];
  if (known != nullptr) return *known;
  known = std::make_unique<Plan>();
  try {
    fe::error_t status = known->build(*context_, p, dtype, backward, deterministic_);
    if (status.is_bad()) known->why_not = status.get_message();
  } catch (const std::exception& error) {  // where the frontend finds no libcudart
    known->why_not = error.what();
  }
  if (!known->why_not.empty()) known->workspace = -1;
  return *known;
}

int64_t CudnnAttention::workspace_bytes(const AttentionProblem& problem, DType dtype,
                                        bool backward) {
  why_not_ = beyond_graphs(problem, dtype, backward);
  if (!why_not_.empty()) return -1;
  const Plan& known = plan(problem, dtype, backward);
  why_not_ = known.why_not;
  return known.workspace;
}

void CudnnAttention::forward(const cuda::FlashForward& a, void* workspace, cudaStream_t stream) {
  const AttentionProblem& p = a.shape;
  const size_t bytes = size_of(a.dtype);
  auto* kv = static_cast<char*>(const_cast<void*>(a.kv));
  std::unordered_map<int64_t, void*> pointers{{kQ, const_cast<void*>(a.qkv)},
                                              {kK, kv + static_cast<size_t>(p.k_at(0, 0)) * bytes},
                                              {kV, kv + static_cast<size_t>(p.v_at(0, 0)) * bytes},
                                              {kO, a.out},
                                              {kStats, a.lse}};
  fe::detail::set_stream(context_->handle, stream);
  check_status(plan(p, a.dtype, false).graph.execute(context_->handle, pointers, workspace),
               "compute attention");
}

void CudnnAttention::backward(const cuda::FlashBackward& a, void* workspace, cudaStream_t stream) {
  const AttentionProblem& p = a.shape;
  const size_t bytes = size_of(a.dtype);
  const size_t k_at = static_cast<size_t>(p.k_at(0, 0)) * bytes;
  const size_t v_at = static_cast<size_t>(p.v_at(0, 0)) * bytes;
  auto* kv = static_cast<char*>(const_cast<void*>(a.kv));
  auto* dkv = static_cast<char*>(a.dkv);
  std::unordered_map<int64_t, void*> pointers{{kQ, const_cast<void*>(a.qkv)},
                                              {kK, kv + k_at},
                                              {kV, kv + v_at},
                                              {kO, const_cast<void*>(a.out)},
                                              {kDo, const_cast<void*>(a.dout)},
                                              {kStats, const_cast<float*>(a.lse)},
                                              {kDq, a.dqkv},
                                              {kDk, dkv + k_at},
                                              {kDv, dkv + v_at}};
  fe::detail::set_stream(context_->handle, stream);
  check_status(plan(p, a.dtype, true).graph.execute(context_->handle, pointers, workspace),
               "compute the gradient of attention");
}

}  // namespace weft
