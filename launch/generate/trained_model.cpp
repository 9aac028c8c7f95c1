#include "launch/generate/trained_model.h"

#include <filesystem>

#include "core/backends/backends.h"
#include "core/base/error.h"
#include "core/checkpoint/checkpoint.h"
#include "core/ops/cpu/dnnl_products.h"
#include "launch/step/checkpoint_path.h"
#include "launch/step/cpu_threads.h"
#include "launch/step/require_memory.h"
#include "launch/step/run_state.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

std::string find_checkpoint(const std::string& path, std::vector<std::string>& notices) {
  if (is_checkpoint(path)) return path;
  require_directory(path, "--checkpoint");
  if (const auto found = find_latest(path, notices)) return found->path;
  fail(ErrorKind::input, "{} holds no intact checkpoint{}{}", path, notices.empty() ? "" : ": ",
       notices.empty() ? "" : notices.front());
}

// The checkpoint names the tokenizer of the data that it learned from.
void require_tokenizer(const CheckpointReader& reader, const Tokenizer& tokenizer) {
  const RunState state = parse_run_state(reader.run_state_json(), reader.path());
  if (state.tokenizer_digest.empty() || state.tokenizer_digest == tokenizer.digest()) return;
  fail(ErrorKind::input,
       "{}: was trained with a tokenizer of digest {}, the one attached has {}; restore the "
       "checkpoint",
       reader.path(), state.tokenizer_digest, tokenizer.digest());
}

// One rank alone, so the first GPU. Its matrix products are of other shapes than training's: a
// cache of algorithms would have none of them.
std::unique_ptr<Device> open_device(DeviceKind kind, const CpuConfig& cpu) {
  if (kind == DeviceKind::cuda) {
    const CudaReport report = cuda_report();
    if (report.devices.empty()) {
      fail(ErrorKind::environment, "no GPU to generate on: {}; --device cpu generates on the CPU",
           report.built ? report.problem : "this build of weft has no CUDA backend");
    }
  }
  const int threads = compute_threads(cpu);
  require_process_room(threads, 1);
  // What a run chose for its own machine need not be there on this one.
  const bool elsewhere =
      cpu.bf16_products == Bf16Products::native && !detail::DnnlProducts::serves(DType::bf16);
  return make_device({.kind = kind,
                      .threads = threads,
                      .bf16_products = elsewhere ? Bf16Products::converted : cpu.bf16_products});
}

}  // namespace

TrainedModel load_trained_model(const std::string& path, std::optional<DeviceKind> where) {
  TrainedModel model;
  model.path = find_checkpoint(path, model.notices);
  const CheckpointReader reader = CheckpointReader::open(model.path);
  model.step = reader.step();
  // 1. The attachments, checked against the manifest before anything interprets them.
  const fs::path attached = fs::path(model.path) / "attached";
  model.config = attached_config(reader);
  std::error_code error;
  if (fs::exists(attached / "tokenizer.json", error)) {
    model.tokenizer = open_tokenizer(attached.string());
    require_tokenizer(reader, *model.tokenizer);
  }
  // 2. The weights.
  model.device = open_device(where.value_or(model.config.device), model.config.cpu);
  model.compute = model.device->make_stream(StreamKind::compute);
  model.ops = make_ops(*model.device);
  model.generator = std::make_unique<Generator>(model.config.model, model.config.compute_type(),
                                                *model.device, *model.compute, *model.ops);
  load_parameters(reader, model.generator->parameters(), nullptr, *model.device, *model.compute);
  return model;
}

}  // namespace weft
