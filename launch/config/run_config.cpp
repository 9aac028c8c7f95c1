#include "launch/config/run_config.h"

namespace weft {

namespace {
constexpr IntRange kSteps = between(1, 1'000'000'000);
constexpr IntRange kInterval = between(0, 1'000'000'000);
constexpr IntRange kSequences = between(1, 1 << 24);
}  // namespace

void TrainConfig::fields(FieldList& list) {
  list.key("steps", steps, kSteps, "steps", "Optimizer steps of the whole run.");
  list.key("batch_size", batch_size, kSequences, "sequences",
           "Sequences per step, over all ranks and micro-batches.");
  list.key_auto("micro_batch_size", micro_batch_size, kSequences, "sequences",
                "batch_size / dp; in a pipeline the most that makes 2 * pp micro-batches of them",
                "Sequences that one rank puts through the model at once; smaller needs less "
                "memory and gives the same result.");
  list.key_auto("sequence_length", sequence_length, between(1, 1 << 20), "tokens",
                "model.context_length", "Tokens per training sequence.");
  list.key("clip_norm", clip_norm, at_least(0.0), "",
           "Largest global gradient norm; larger gradients are scaled down to it. 0 is off.");
  list.key("eval_interval", eval_interval, kInterval, "steps",
           "Steps between evaluations on data.validation. 0 is never.");
  list.key("eval_batches", eval_batches, between(1, 1 << 24), "batches",
           "Batches of batch_size sequences in one evaluation.");
  list.key("log_interval", log_interval, kSteps, "steps",
           "Steps between printed lines where the output is no terminal; metrics.jsonl has "
           "every step.");
  list.key("bucket_size_mib", bucket_size_mib, between(1, 1 << 16), "MiB",
           "Gradients reduced over the data-parallel ranks in one message.");
}

void CommConfig::fields(FieldList& list) {
  list.key("deadline", deadline, between(1, 1'000'000), "seconds",
           "How long a rank waits for another one before the job ends; after a tenth of it the "
           "rank says for whom. Ranks that find each other at the start have ten minutes.");
}

void CheckpointConfig::fields(FieldList& list) {
  list.key("interval", interval, kInterval, "steps",
           "Steps between checkpoints; one is always written at the end. 0 is only then.");
  list.key("keep_last", keep_last, between(0, 1'000'000), "checkpoints",
           "Checkpoints kept; older ones are deleted. 0 keeps all.");
  list.key("keep_every", keep_every, kInterval, "steps",
           "Checkpoints of the multiples of this step are never deleted. 0 is none.");
  list.key(
      "async", async,
      "Whether training goes on while a checkpoint is written, from a copy in memory; the one at "
      "the end is always waited for.");
  list.key_auto(
      "memory_mib", memory_mib, between(1, int64_t{1} << 40), "MiB", "as much as it takes",
      "Most memory that a rank's copy for checkpoint.async may take; a run that needs more "
      "is refused.");
  list.key_auto("directory", directory, TextRule::path, "checkpoints in the run directory",
                "Directory that the checkpoints are written to.");
}

void LoadConfig::fields(FieldList& list) {
  list.key_auto("weights", weights, TextRule::path, "none, initial weights are drawn",
                "Checkpoint whose weights the run begins with, or a directory of them (its newest "
                "intact one); steps and optimizer begin anew. A run that is resumed ignores it.");
  list.key("vocabulary", vocabulary,
           "Whether the model may have a larger vocabulary than that checkpoint; the new rows of "
           "its tables are then drawn.");
  list.key("skip", skip, TextRule::path,
           "Tensors that are drawn anew instead, by name; patterns as in optimizer.freeze. Also "
           "tensors of the checkpoint that the model does not have.");
}

void CpuConfig::fields(FieldList& list) {
  list.key_auto("threads", threads, between(1, 4096), "threads",
                "the rank's share of the cores that it may run on",
                "Compute threads of each rank.");
  list.key(
      "bf16_products", bf16_products,
      "How matrices of bf16 are multiplied. native: by the CPU's instructions for bf16, which "
      "needs AVX-512 or AMX; converted: as f32 copies; auto: whichever a run measures to be faster "
      "when it begins, and keeps.");
}

void CudaConfig::fields(FieldList& list) {
  list.key("ranks_per_device", ranks_per_device, between(1, 64), "ranks",
           "Ranks that share one GPU, which is for tests: rank r of a host takes GPU r / this.");
  list.key_auto("matmul_cache", matmul_cache, TextRule::path, "none",
                "Folder that keeps the fastest algorithm of each matrix product between runs, by "
                "GPU and version of cuBLAS. A run computes with what it finds there.");
  list.key("measure_matmuls", measure_matmuls,
           "Whether products that cuda.matmul_cache lacks are timed when they are first computed, "
           "and the choice kept; otherwise they follow cuBLASLt's own rule.");
  list.key("graphs", graphs,
           "Whether the passes of a micro-batch are recorded as CUDA graphs and replayed, which "
           "computes the same bits; not with tensor or context parallelism, mesh.zero 3 or "
           "dropout. Off because no GPU has run it yet.");
}

void OutputConfig::fields(FieldList& list) {
  list.key(
      "directory", directory, TextRule::path,
      "Where run directories are made: metrics, effective config and checkpoints of a run lie in "
      "directory/name.");
}

DType RunConfig::compute_type() const {
  switch (precision) {
    case Precision::bf16:
      return DType::bf16;
    case Precision::f16:
      return DType::f16;
    default:
      return DType::f32;
  }
}

int64_t RunConfig::micro_batch_size(int64_t data_ranks) const {
  if (train.micro_batch_size) return *train.micro_batch_size;
  const int64_t samples = train.batch_size / data_ranks;
  if (mesh.pp == 1) return samples;
  // With only as many micro-batches as stages, each would be idle for nearly half of the time.
  const bool whole_rounds = traits(pipeline.schedule).whole_rounds;
  for (int64_t count = 2 * mesh.pp; count <= samples; ++count) {
    if (samples % count == 0 && (!whole_rounds || count % mesh.pp == 0)) return samples / count;
  }
  return 1;
}

void RunConfig::fields(FieldList& list) {
  list.key("name", name, TextRule::file_name, "Name of the run and of its directory.");
  list.key("seed", seed, at_least(0), "",
           "Decides initial weights, dropout and data order, whatever the number of ranks.");
  list.key(
      "device", device,
      "What ranks compute on. With cuda each rank takes a GPU of its host, in a build that has "
      "CUDA; several ranks need NCCL.");
  list.key(
      "determinism", determinism,
      "What gives the same bits again. none: nothing on GPUs, where the gradients of attention are "
      "then computed faster and in less memory. layout: the same run on the same layout. elastic: "
      "on any mesh.dp (a power of two), mesh.zero and mesh.pp too, at the same mesh.tp, batch and "
      "micro-batch size; gradients are then added in one fixed tree, which takes more memory.");
  list.key(
      "precision", precision,
      "Type of activations and of the weights that are computed with. With bf16 and f16 master "
      "weights, gradients of weights and all sums stay f32.");
  list.group("model", model, "The architecture.");
  list.group("data", data, "What the model learns from.");
  list.group("train", train, "How long and in what portions.");
  list.group("optimizer", optimizer, "How gradients become updates.");
  list.group("loss_scale", loss_scale,
             "Gradients that are too small for f16, when precision is f16.");
  list.group("schedule", schedule, "The learning rate over the steps.");
  list.group("mesh", mesh, "How the ranks are laid out; dp * tp * pp * cp is their number.");
  list.group("pipeline", pipeline, "Pipeline parallelism, when mesh.pp is above 1.");
  list.group("recompute", recompute, "Less memory for activations, at the price of time.");
  list.group("comm", comm, "How the ranks talk.");
  list.group("checkpoint", checkpoint, "Checkpoints.");
  list.group("load", load, "Weights of another run to begin with.");
  list.group("cpu", cpu, "Ranks that compute on a CPU.");
  list.group("cuda", cuda, "Ranks that compute on a GPU.");
  list.group("output", output, "Where results go.");
}

}  // namespace weft
