#include "launch/plan/plan_text.h"

#include <fmt/format.h>

#include <set>

#include "core/model/gpt_specs.h"
#include "launch/plan/published.h"

namespace weft {
namespace {

constexpr double kMib = 1 << 20;

double mib(double bytes) { return bytes / kMib; }

std::string headline(const RunConfig& config, const MeshShape& mesh) {
  return fmt::format("{} ranks (dp {}, cp {}, tp {}, pp {}), {:.1f}M parameters, batch {} x {}\n",
                     mesh.world(), mesh.dp, mesh.cp, mesh.tp, mesh.pp,
                     static_cast<double>(parameter_count(config.model)) / 1e6,
                     config.train.batch_size, config.sequence_length());
}

std::string stage_heads(const char* first, size_t stages, int width) {
  std::string text = fmt::format("{:<22}", first);
  for (size_t s = 0; s < stages; ++s) {
    text += fmt::format("{:>{}}", stages == 1 ? "each rank" : fmt::format("stage {}", s), width);
  }
  return text + "\n";
}

std::string published_text(const RunConfig& config, const MeshShape& mesh,
                           const std::vector<Rehearsal>& stages) {
  const GptConfig& m = config.model;
  const published::Layer layer{.sequence = static_cast<double>(config.sequence_length()) / mesh.cp,
                               .micro_batch = static_cast<double>(config.micro_batch_size(mesh.dp)),
                               .width = static_cast<double>(m.width),
                               .heads = static_cast<double>(m.heads),
                               .tensor_ranks = static_cast<double>(mesh.tp)};
  const double held = published::layers_held(static_cast<double>(m.layers), mesh.pp,
                                             static_cast<double>(config.pipeline.chunk_count()));
  const auto activations = [&](published::Recompute recompute) {
    return mib(held * published::activation_bytes(layer, true, recompute));
  };
  const double states =
      published::model_state_bytes(static_cast<double>(stages.front().parameters),
                                   mesh.dp * mesh.cp, static_cast<int>(config.mesh.zero));
  return fmt::format(
      "by the formulas of arXiv 1910.02054 and 2205.05198, 16 bit, 1F1B, first stage:\n"
      "  model states {:.1f} MiB; activations {:.1f} MiB, {:.1f} without attention scores, {:.1f} "
      "recomputed in full\n",
      mib(states), activations(published::Recompute::none),
      activations(published::Recompute::selective), activations(published::Recompute::full));
}

}  // namespace

std::string memory_text(const RunConfig& config, const MeshShape& mesh,
                        const std::vector<Rehearsal>& stages) {
  std::string text = headline(config, mesh) + stage_heads("MiB", stages.size(), 12);
  const bool on_gpu = config.device == DeviceKind::cuda;
  for (size_t i = 0; i < stages.front().memory.size(); ++i) {
    const SegmentBytes& segment = stages.front().memory[i];
    text += fmt::format("{:<22}", segment.name + (on_gpu && segment.of_host ? " (host)" : ""));
    for (const Rehearsal& r : stages) {
      text += fmt::format("{:>12.1f}", mib(static_cast<double>(r.memory[i].bytes)));
    }
    text += "\n";
  }
  text += fmt::format("{:<22}", on_gpu ? "total on the GPU" : "total");
  for (const Rehearsal& r : stages) {
    size_t bytes = 0;
    for (const SegmentBytes& s : r.memory) bytes += on_gpu && s.of_host ? 0 : s.bytes;
    text += fmt::format("{:>12.1f}", mib(static_cast<double>(bytes)));
  }
  return text + "\n" + published_text(config, mesh, stages);
}

std::string communication_text(const RunConfig& config, const MeshShape& mesh,
                               const std::vector<Rehearsal>& stages) {
  std::set<std::pair<std::string, CommOp>> keys;
  for (const Rehearsal& r : stages) {
    for (const auto& [key, row] : r.communication) keys.insert(key);
  }
  std::string text = headline(config, mesh);
  if (keys.empty()) return text + "no rank sends anything\n";
  text += stage_heads("calls, MiB of a step", stages.size(), 20);
  for (const auto& [axis, op] : keys) {
    text += fmt::format("{:<22}", fmt::format("{} {}", axis, name(op)));
    for (const Rehearsal& r : stages) {
      const auto found = r.communication.find({axis, op});
      const CommTrace::Row row = found == r.communication.end() ? CommTrace::Row{} : found->second;
      text += fmt::format("{:>8}{:>12.3f}", row.calls, mib(static_cast<double>(row.payload_bytes)));
    }
    text += "\n";
  }
  return text;
}

}  // namespace weft
