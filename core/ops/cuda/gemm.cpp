#include "core/ops/cuda/gemm.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/base/error.h"
#include "core/device/cuda/cuda_error.h"
#include "core/ops/cuda/working_memory.h"

namespace weft {
namespace {

constexpr int kCandidates = 16;
constexpr int kTimings = 5;  // of each candidate; the median counts

cudaDataType_t cuda_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return CUDA_R_32F;
    case DType::bf16:
      return CUDA_R_16BF;
    case DType::f16:
      return CUDA_R_16F;
    default:
      WEFT_CHECK(false, "products of {} are for the CPU", name(dtype));
  }
}

bool has_bias(int epilogue) {
  return (epilogue & CUBLASLT_EPILOGUE_BIAS) != 0 || epilogue == CUBLASLT_EPILOGUE_BGRADB;
}
bool has_aux(int epilogue) {
  return epilogue == CUBLASLT_EPILOGUE_GELU_AUX || epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS ||
         epilogue == CUBLASLT_EPILOGUE_DGELU;
}

// The largest power of 2, up to 16, that divides all addresses.
int alignment_of(const GemmTask& task) {
  auto bits = reinterpret_cast<uintptr_t>(task.a) | reinterpret_cast<uintptr_t>(task.b) |
              reinterpret_cast<uintptr_t>(task.c) | 16;
  return static_cast<int>(bits & ~(bits - 1));
}

std::string machine_of(const GpuProperties& gpu, size_t version) {
  return fmt::format("{}, {} multiprocessors, cuBLAS {}", gpu.name, gpu.multiprocessors, version);
}

}  // namespace

GemmKey key_of(const GemmTask& task) {
  return {.m = task.n,
          .n = task.m,
          .k = task.k,
          .b_stride = task.a_width,
          .c_stride = task.c_width,
          .transpose_a = task.transpose_b,
          .transpose_b = task.transpose_a,
          .type = task.type,
          .c_type = task.c_type,
          .epilogue = static_cast<int>(task.epilogue),
          .accumulate = task.accumulate,
          .alignment = alignment_of(task)};
}

// Descriptors of one kind of product; `served` is false where no algorithm was found.
struct Gemm::Plan {
  explicit Plan(const CublasLt& library) : lt(library) {}
  ~Plan() {
    for (cublasLtMatrixLayout_t layout : {a, b, c}) {
      if (layout != nullptr) lt.layout_destroy(layout);
    }
    if (desc != nullptr) lt.desc_destroy(desc);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  const CublasLt& lt;
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
  Algorithm algorithm{};
  bool bias = false, aux = false;
  bool served = false;
};

Gemm::Gemm(CudaDevice& device, const std::string& cache_folder, bool measure)
    : device_(device), workspace_(device.allocate(kGemmWorkspace)), measure_(measure) {
  check_cublas(lt_.create(&handle_), "start");
  cache_ =
      std::make_unique<GemmCache>(cache_folder, machine_of(device.properties(), lt_.get_version()));
}

Gemm::~Gemm() {
  plans_.clear();
  lt_.destroy(handle_);
}

void Gemm::describe(const GemmKey& key, const GemmTask& task, Plan& plan) {
  check_cublas(lt_.desc_create(&plan.desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), "describe a product");
  const auto set = [&](cublasLtMatmulDescAttributes_t attribute, const auto& value) {
    check_cublas(lt_.desc_set(plan.desc, attribute, &value, sizeof(value)), "describe a product");
  };
  const auto layout = [&](cublasLtMatrixLayout_t& to, DType type, int64_t rows, int64_t columns,
                          int64_t stride) {
    check_cublas(lt_.layout_create(&to, cuda_type(type), static_cast<uint64_t>(rows),
                                   static_cast<uint64_t>(columns), stride),
                 "describe a matrix");
  };
  const cublasOperation_t op_a = key.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
  const cublasOperation_t op_b = key.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
  set(CUBLASLT_MATMUL_DESC_TRANSA, op_a);
  set(CUBLASLT_MATMUL_DESC_TRANSB, op_b);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, task.epilogue);
  plan.bias = has_bias(key.epilogue);
  plan.aux = has_aux(key.epilogue);
  if (plan.aux) set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, key.m);
  const int64_t a_rows = key.transpose_a ? key.k : key.m;
  layout(plan.a, key.type, a_rows, key.transpose_a ? key.m : key.k, a_rows);
  layout(plan.b, key.type, key.transpose_b ? key.n : key.k, key.transpose_b ? key.k : key.n,
         key.b_stride);
  layout(plan.c, key.c_type, key.m, key.n, key.c_stride);
}

void Gemm::set_pointers(const GemmTask& task, const Plan& plan) {
  const auto set = [&](cublasLtMatmulDescAttributes_t attribute, const void* pointer) {
    check_cublas(lt_.desc_set(plan.desc, attribute, &pointer, sizeof(pointer)), "take a pointer");
  };
  if (plan.bias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, task.bias);
  if (plan.aux) set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, task.aux);
}

bool Gemm::take_from_cache(const GemmKey& key, Plan& plan) {
  const GemmChoice* choice = cache_->find(key);
  if (choice == nullptr || choice->workspace_bytes > kGemmWorkspace) return false;
  static_assert(sizeof(Algorithm) == sizeof(choice->algorithm));
  std::memcpy(&plan.algorithm, choice->algorithm.data(), sizeof(Algorithm));
  cublasLtMatmulHeuristicResult_t result{};
  plan.served = lt_.algo_check(handle_, plan.desc, plan.a, plan.b, plan.c, plan.c, &plan.algorithm,
                               &result) == CUBLAS_STATUS_SUCCESS;
  return plan.served;
}

void Gemm::choose(const GemmKey& key, const GemmTask& task, CudaStream& stream, Plan& plan) {
  cublasLtMatmulPreference_t preference = nullptr;
  check_cublas(lt_.preference_create(&preference), "prefer");
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    check_cublas(lt_.preference_set(preference, attribute, &value, sizeof(value)), "prefer");
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kGemmWorkspace);
  const auto alignment = static_cast<uint32_t>(key.alignment);
  for (const auto attribute :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    set(attribute, alignment);
  }
  std::array<cublasLtMatmulHeuristicResult_t, kCandidates> found{};
  int count = 0;
  lt_.heuristic(handle_, plan.desc, plan.a, plan.b, plan.c, plan.c, preference,
                measure_ ? kCandidates : 1, found.data(), &count);
  lt_.preference_destroy(preference);
  plan.served = count > 0 && found[0].state == CUBLAS_STATUS_SUCCESS;
  if (!plan.served) return;
  plan.algorithm = found[0].algo;
  if (!measure_) return;

  // Measured into memory aside: c may hold sums that must not change.
  const auto bytes = static_cast<size_t>(task.m * task.c_width) * size_of(task.c_type);
  const auto aside = device_.allocate(bytes);
  GemmChoice best{.microseconds = std::numeric_limits<double>::infinity()};
  for (int i = 0; i < count; ++i) {
    if (found[static_cast<size_t>(i)].state != CUBLAS_STATUS_SUCCESS) continue;
    const Algorithm& algorithm = found[static_cast<size_t>(i)].algo;
    double microseconds = best.microseconds;
    try {
      microseconds = time(task, plan, algorithm, aside->data(), stream);
    } catch (const Error&) {  // a proposal that does not run after all
      cudaGetLastError();
    }
    if (microseconds >= best.microseconds) continue;
    std::memcpy(best.algorithm.data(), &algorithm, sizeof(algorithm));
    best.workspace_bytes = found[static_cast<size_t>(i)].workspaceSize;
    best.microseconds = microseconds;
    plan.algorithm = algorithm;
  }
  if (!std::isfinite(best.microseconds)) return;
  cache_->put(key, best);
  cache_->save();
}

double Gemm::time(const GemmTask& task, const Plan& plan, const Algorithm& algorithm, void* c,
                  CudaStream& stream) {
  const auto stamps = device_.make_stamps();
  enqueue(task, plan, algorithm, c, stream);  // what happens only once
  std::array<size_t, kTimings + 1> marks{};
  marks[0] = stamps->put(stream);
  for (size_t i = 1; i < marks.size(); ++i) {
    enqueue(task, plan, algorithm, c, stream);
    marks[i] = stamps->put(stream);
  }
  stream.synchronize();
  std::array<int64_t, kTimings> times{};
  for (size_t i = 0; i < times.size(); ++i) {
    times[i] = stamps->nanoseconds(marks[i + 1]) - stamps->nanoseconds(marks[i]);
  }
  std::nth_element(times.begin(), times.begin() + kTimings / 2, times.end());
  return static_cast<double>(times[kTimings / 2]) * 1e-3;
}

Gemm::Plan& Gemm::plan(const GemmTask& task, CudaStream& stream) {
  const GemmKey key = key_of(task);
  std::unique_ptr<Plan>& known = plans_[key];
  if (known == nullptr) {
    known = std::make_unique<Plan>(lt_);
    describe(key, task, *known);
    // The rule looks at the alignment of these pointers too.
    set_pointers(task, *known);
    if (!take_from_cache(key, *known)) choose(key, task, stream, *known);
  }
  return *known;
}

void Gemm::enqueue(const GemmTask& task, const Plan& plan, const Algorithm& algorithm, void* c,
                   CudaStream& stream) {
  const float alpha = 1.0f;
  const float beta = task.accumulate ? 1.0f : 0.0f;
  check_cublas(
      lt_.matmul(handle_, plan.desc, &alpha, task.b, plan.a, task.a, plan.b, &beta, c, plan.c, c,
                 plan.c, &algorithm, workspace_->data(), kGemmWorkspace, stream.handle()),
      fmt::format("multiply [{},{}] by [{},{}] in {}", task.m, task.k, task.k, task.n,
                  name(task.type)));
}

bool Gemm::serves(const GemmTask& task, CudaStream& stream) { return plan(task, stream).served; }

void Gemm::run(const GemmTask& task, CudaStream& stream) {
  const Plan& known = plan(task, stream);
  WEFT_CHECK(known.served, "cuBLASLt has no algorithm for [{},{}] by [{},{}] in {}", task.m, task.k,
             task.k, task.n, name(task.type));
  set_pointers(task, known);
  enqueue(task, known, known.algorithm, task.c, stream);
}

}  // namespace weft
