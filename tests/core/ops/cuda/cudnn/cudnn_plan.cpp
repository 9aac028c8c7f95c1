// What cuDNN would serve on an H200, asked of the library itself on a machine without a GPU.
//
//   cudnn_plan DEVICE_PROPERTIES_JSON
//
// Wants a libcuda.so.1 on the library path, be it the toolkit's stub. Ends with 77, which the test
// reads as skipped, where cuDNN or that is missing.
#include <fmt/core.h>

#include <fstream>
#include <sstream>

#include "core/base/error.h"
#include "core/ops/cuda/cudnn_attention.h"

namespace weft {
namespace {

constexpr int kHopper = 90;

AttentionProblem packed(int64_t batch, int64_t tokens, int64_t heads, int64_t kv_heads,
                        int64_t dim) {
  AttentionProblem p{};
  p.batch = batch;
  p.heads = heads;
  p.kv_heads = kv_heads;
  p.dim = dim;
  p.q_width = p.kv_width = (heads + 2 * kv_heads) * dim;
  p.scale = 0.125f;
  p.queries = p.keys = TokenShare::whole(tokens);
  return p;
}

// Counts what is not as it should be.
class Expectations {
 public:
  Expectations(const std::string& device, bool deterministic)
      : cudnn_(device, kHopper, deterministic) {}

  void expect(bool served, const char* what, const AttentionProblem& p, DType dtype) {
    for (const bool backward : {false, true}) {
      const bool is_served = cudnn_.workspace_bytes(p, dtype, backward) >= 0;
      fmt::print("{:<44} {:<8} {} {}\n", what, backward ? "backward" : "forward",
                 is_served ? "served" : "not served:", cudnn_.why_not());
      if (is_served != served) ++wrong_;
    }
  }
  int wrong() const { return wrong_; }

 private:
  CudnnAttention cudnn_;
  int wrong_ = 0;
};

int wrong_answers(const std::string& device, bool deterministic) {
  fmt::print("{}\n", deterministic ? "deterministic" : "not deterministic");
  Expectations e(device, deterministic);
  e.expect(true, "GPT-2 XL, bf16", packed(4, 1024, 25, 25, 64), DType::bf16);
  e.expect(true, "GPT-2 XL, f16", packed(4, 1024, 25, 25, 64), DType::f16);
  e.expect(true, "heads of 128", packed(2, 2048, 16, 16, 128), DType::bf16);
  e.expect(true, "grouped heads, 8192 tokens", packed(1, 8192, 32, 8, 128), DType::bf16);
  e.expect(false, "heads of 60", packed(4, 1024, 16, 16, 60), DType::bf16);
  e.expect(false, "f32", packed(4, 1024, 16, 16, 64), DType::f32);
  AttentionProblem p = packed(4, 1024, 16, 16, 64);
  p.keep_factor = 2;
  e.expect(false, "dropout", p, DType::bf16);
  p = packed(4, 1024, 16, 16, 64);
  p.queries = TokenShare::zigzag(2048, 0, 2);
  e.expect(false, "a share of the tokens", p, DType::bf16);
  return e.wrong();
}

int run(const std::string& path) {
  std::ifstream file(path);
  std::stringstream device;
  device << file.rdbuf();
  return wrong_answers(device.str(), true) + wrong_answers(device.str(), false) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  try {
    return argc == 2 ? weft::run(argv[1]) : 2;
  } catch (const weft::Error& error) {
    fmt::print("skipped: {}\n", error.what());
    return 77;
  }
}
