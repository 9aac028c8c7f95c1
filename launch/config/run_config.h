// RunConfig: everything that one training run is made from, gathered from the structs of the
// modules that use it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/fields.h"
#include "core/device/device.h"
#include "core/mesh/mesh_config.h"
#include "core/model/gpt_config.h"
#include "core/nn/recompute_config.h"
#include "data/data_config.h"
#include "optim/optimizer_config.h"
#include "parallel/pipeline/pipeline_config.h"

namespace weft {

struct TrainConfig {
  int64_t steps = 1000;
  int64_t batch_size = 8;
  std::optional<int64_t> micro_batch_size;
  std::optional<int64_t> sequence_length;
  double clip_norm = 1.0;
  int64_t eval_interval = 250;
  int64_t eval_batches = 20;
  int64_t log_interval = 10;
  int64_t bucket_size_mib = 25;

  void fields(FieldList& list);
};

struct CommConfig {
  int64_t deadline = 600;

  void fields(FieldList& list);
};

struct CheckpointConfig {
  int64_t interval = 1000;
  int64_t keep_last = 3;
  int64_t keep_every = 0;
  bool async = true;
  std::optional<int64_t> memory_mib;
  std::optional<std::string> directory;

  void fields(FieldList& list);
};

struct LoadConfig {
  enum class Vocabulary { exact, grow };
  friend constexpr auto enum_names(Vocabulary) { return named_values("exact", "grow"); }

  std::optional<std::string> weights;
  Vocabulary vocabulary = Vocabulary::exact;
  std::vector<std::string> skip;

  void fields(FieldList& list);
};

constexpr auto enum_names(Bf16Products) { return named_values("auto", "native", "converted"); }

struct CpuConfig {
  std::optional<int64_t> threads;
  Bf16Products bf16_products = Bf16Products::automatic;

  void fields(FieldList& list);
};

struct CudaConfig {
  int64_t ranks_per_device = 1;
  std::optional<std::string> matmul_cache;
  bool measure_matmuls = false;
  bool graphs = false;

  void fields(FieldList& list);
};

constexpr auto enum_names(DeviceKind) { return named_values("cpu", "cuda"); }

struct OutputConfig {
  std::string directory = "runs";

  void fields(FieldList& list);
};

// What of a run stays the same to the last bit when it goes on in another layout.
enum class Determinism { none, layout, elastic };
constexpr auto enum_names(Determinism) { return named_values("none", "layout", "elastic"); }

// The type of activations and of the weights that are computed with.
enum class Precision { f32, bf16, f16 };
constexpr auto enum_names(Precision) { return named_values("f32", "bf16", "f16"); }

struct RunConfig {
  std::string name = "run";
  int64_t seed = 1;
  Determinism determinism = Determinism::layout;
  Precision precision = Precision::f32;
  LossScaleConfig loss_scale;
  GptConfig model;
  DataConfig data;
  TrainConfig train;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  MeshConfig mesh;
  PipelineConfig pipeline;
  RecomputeConfig recompute;
  CommConfig comm;
  CheckpointConfig checkpoint;
  LoadConfig load;
  DeviceKind device = DeviceKind::cpu;
  CpuConfig cpu;
  CudaConfig cuda;
  OutputConfig output;

  // Values of keys that may be auto.
  int64_t sequence_length() const { return train.sequence_length.value_or(model.context_length); }
  int64_t stride() const { return data.stride.value_or(sequence_length()); }
  std::string run_directory() const { return output.directory + "/" + name; }
  std::string checkpoint_directory() const {
    return checkpoint.directory.value_or(run_directory() + "/checkpoints");
  }
  // Whether some checkpoint is written while training goes on; the last one never is.
  bool saves_beside_training() const {
    return checkpoint.async && checkpoint.interval > 0 && checkpoint.interval < train.steps;
  }
  DType compute_type() const;
  bool scales_loss() const { return precision == Precision::f16; }
  // Whether checkpoints are written from a copy in host memory: beside training, or from a GPU.
  bool saves_from_copy() const { return saves_beside_training() || device == DeviceKind::cuda; }
  bool elastic() const { return determinism == Determinism::elastic; }
  // Sequences that one rank puts through the model at once, with `data_ranks` data-parallel ranks.
  int64_t micro_batch_size(int64_t data_ranks) const;

  void fields(FieldList& list);
};

}  // namespace weft
