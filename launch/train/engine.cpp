#include "launch/train/engine.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "parallel/comm/trace.h"
#include "parallel/tensor/gpt_placement.h"

namespace weft {

// The arenas of a rank, and the micro-batch stack that lives in two of them.
struct Engine::Memory {
  Memory()
      : weights("weights"),
        gradients("gradients"),
        optimizer("optimizer"),
        activations("activations"),
        deferred("deferred"),
        workspace("workspace"),
        batch("batch"),
        saved(activations, deferred) {}
  // Real arenas as large as the peaks of `plan`.
  Memory(Device& device, const Memory& plan)
      : weights("weights", device, plan.weights.peak()),
        gradients("gradients", device, plan.gradients.peak()),
        optimizer("optimizer", device, plan.optimizer.peak()),
        activations("activations", device, plan.activations.peak()),
        deferred("deferred", device, plan.deferred.peak()),
        workspace("workspace", device, plan.workspace.peak()),
        batch("batch", device, plan.batch.peak()),
        saved(activations, deferred) {}

  std::vector<SegmentBytes> segments() const {
    std::vector<SegmentBytes> out;
    for (const Arena* a :
         {&weights, &gradients, &optimizer, &activations, &deferred, &workspace, &batch}) {
      out.push_back({a->name(), a->counting() ? a->peak() : a->capacity()});
    }
    return out;
  }

  Arena weights, gradients, optimizer, activations, deferred, workspace, batch;
  Saved saved;
};

Engine::Engine(const RunConfig& config, const RankResources& rank, const AdmitMemory& admit)
    : config_(config),
      rank_(rank),
      sequence_length_(config.sequence_length()),
      plan_(config.train.batch_size, rank.mesh.shape().dp,
            config.micro_batch_size(rank.mesh.shape().dp)),
      parameters_(rank.mesh.shape(), rank.mesh.coord()),
      model_(config.model, tensor_parallel_placement(), parameters_),
      optimizer_(config.optimizer, parameters_),
      norm_(parameters_),
      handover_(rank.device.make_event()) {
  if (rank.tensor_side != nullptr) tensor_side_.emplace(rank.device, *rank.tensor_side);
  Memory plan;
  lay_out(plan);
  rehearse(plan);
  admit(plan.segments());
  memory_ = std::make_unique<Memory>(rank.device, plan);
  lay_out(*memory_);
  host_tokens_.resize(static_cast<size_t>(tokens_.elements()));
  host_targets_.resize(static_cast<size_t>(targets_.elements()));
  parameters_.initialize(static_cast<uint64_t>(config.seed), rank.device, rank.compute);
  reducer_ = std::make_unique<GradientReducer>(
      parameters_, rank.mesh, rank.device, rank.communication, config.train.bucket_size_mib << 20);
}

Engine::~Engine() = default;

void Engine::lay_out(Memory& memory) {
  parameters_.allocate(memory.weights, &memory.gradients, DType::f32);
  model_.allocate_constants(memory.weights, DType::f32, rank_.device, rank_.compute);
  optimizer_.allocate(memory.optimizer);
  norm_.allocate(memory.optimizer);
  tokens_ = memory.batch.allocate({plan_.rows(), sequence_length_}, DType::i32);
  targets_ = memory.batch.allocate({plan_.rows(), sequence_length_}, DType::i32);
  control_ = memory.batch.allocate({2}, DType::f64);
}

// One micro-batch and one evaluation over counting arenas: their peaks are the plan.
void Engine::rehearse(Memory& memory) {
  const std::unique_ptr<Ops> counting = make_counting_ops();
  std::unique_ptr<Communicator> nobody;  // collectives that move nothing
  if (tensor_group() != nullptr) {
    nobody = make_counting_communicator("tp", rank_.mesh.coord().tp, rank_.mesh.shape().tp);
  }
  Context training = context(memory, *counting, nobody.get(), 1, 0, true);
  const Tensor loss = control_.slice(0, 1);
  model_.forward(tokens_, memory.saved, training);
  model_.backward(tokens_, targets_, 1.0, loss, memory.saved, training, nullptr);
  Context evaluation = context(memory, *counting, nobody.get(), 1, 0, false);
  model_.loss(tokens_, targets_, loss, memory.saved, evaluation);
}

Communicator* Engine::tensor_group() {
  return rank_.mesh.shape().tp > 1 ? &rank_.mesh.axis(Axis::tp) : nullptr;
}

Context Engine::context(Memory& memory, Ops& ops, Communicator* tensor_group, int64_t update,
                        int64_t first_sample, bool training) {
  return {.ops = ops,
          .stream = rank_.compute,
          .work = memory.workspace,
          .seed = static_cast<uint64_t>(config_.seed),
          .step = static_cast<uint32_t>(update),
          .dropout = training && config_.model.dropout > 0,
          .samples = plan_.rows(),
          .first_sample = first_sample,
          .tokens = TokenShare::whole(sequence_length_),
          .tensor_group = tensor_group,
          .tensor_side = tensor_side_ && tensor_group != nullptr ? &*tensor_side_ : nullptr};
}

void Engine::load(int64_t first_sample, const FillSample& fill) {
  const auto length = static_cast<size_t>(sequence_length_);
  for (int64_t i = 0; i < plan_.rows(); ++i) {
    const size_t at = static_cast<size_t>(i) * length;
    fill(first_sample + i, std::span(host_tokens_).subspan(at, length),
         std::span(host_targets_).subspan(at, length));
  }
  rank_.device.copy_to_device(tokens_.raw(), host_tokens_.data(), tokens_.bytes(), rank_.compute);
  rank_.device.copy_to_device(targets_.raw(), host_targets_.data(), targets_.bytes(),
                              rank_.compute);
}

void Engine::sum_over_ranks(const Tensor& values) {
  rank_.compute.record(*handover_);
  rank_.communication.wait(*handover_);
  rank_.mesh.gradient().all_reduce(values, ReduceOp::sum, rank_.communication);
  rank_.communication.record(*handover_);
  rank_.compute.wait(*handover_);
}

double Engine::read(const Tensor& scalar) {
  double value = 0;
  rank_.device.copy_to_host(&value, scalar.raw(), sizeof(value), rank_.compute);
  rank_.compute.synchronize();
  return value;
}

void Engine::accumulate(int64_t update, int64_t first_sample, const FillSample& fill) {
  const double tokens = static_cast<double>(config_.train.batch_size * sequence_length_);
  for (int64_t m = 0; m < plan_.micro_batches(); ++m) {
    const int64_t sample = first_sample + plan_.sample(0, rank_.mesh.coord().dp, m, 0);
    load(sample, fill);
    Context ctx = context(*memory_, rank_.ops, tensor_group(), update, sample, true);
    model_.forward(tokens_, memory_->saved, ctx);
    GradientListener* listener = m + 1 == plan_.micro_batches() ? reducer_.get() : nullptr;
    model_.backward(tokens_, targets_, 1.0 / tokens, control_.slice(0, 1), memory_->saved, ctx,
                    listener);
  }
  reducer_->finish(rank_.compute);
}

StepResult Engine::step(int64_t update, double lr, int64_t first_sample, const FillSample& fill,
                        bool stop) {
  const std::array<double, 2> control{0.0, stop ? 1.0 : 0.0};
  rank_.device.copy_to_device(control_.raw(), control.data(), sizeof(control), rank_.compute);
  accumulate(update, first_sample, fill);
  norm_.compute(config_.train.clip_norm, rank_.mesh, rank_.ops, rank_.compute);
  sum_over_ranks(control_);
  StepResult result;
  result.loss =
      read(control_.slice(0, 1)) / static_cast<double>(config_.train.batch_size * sequence_length_);
  result.grad_norm = read(norm_.norm());
  result.stop = read(control_.slice(1, 2)) > 0;
  if (!std::isfinite(result.loss) || !std::isfinite(result.grad_norm)) {
    fail(ErrorKind::diverged,
         "step {}: loss {} and gradient norm {} are not finite; lower schedule.peak_lr ({} now), "
         "raise schedule.warmup_steps or set train.clip_norm, and resume from the last checkpoint",
         update, result.loss, result.grad_norm, config_.schedule.peak_lr);
  }
  optimizer_.step(lr, update, norm_.clip(), rank_.ops, rank_.compute);
  return result;
}

double Engine::gradients(int64_t first_sample, const FillSample& fill) {
  rank_.ops.fill(control_, 0, rank_.compute);
  accumulate(1, first_sample, fill);
  sum_over_ranks(control_);
  return read(control_.slice(0, 1)) /
         static_cast<double>(config_.train.batch_size * sequence_length_);
}

void Engine::clear_gradients() {
  for (const auto& p : parameters_) rank_.ops.fill(p->grad, 0, rank_.compute);
}

double Engine::evaluate(int64_t samples, const FillSample& fill) {
  // Every rank takes whole micro-batches of its contiguous share; a short last one is filled up
  // with samples whose targets are ignored.
  const int64_t ranks = rank_.mesh.shape().dp;
  const int64_t batches = (samples + plan_.rows() - 1) / plan_.rows();
  const int64_t begin = batches * rank_.mesh.coord().dp / ranks;
  const int64_t end = batches * (rank_.mesh.coord().dp + 1) / ranks;
  rank_.ops.fill(control_, 0, rank_.compute);
  const FillSample fill_up = [&](int64_t sample, std::span<int32_t> inputs,
                                 std::span<int32_t> targets) {
    fill(std::min(sample, samples - 1), inputs, targets);
    if (sample >= samples) std::fill(targets.begin(), targets.end(), -1);
  };
  for (int64_t b = begin; b < end; ++b) {
    load(b * plan_.rows(), fill_up);
    Context ctx = context(*memory_, rank_.ops, tensor_group(), 0, b * plan_.rows(), false);
    model_.loss(tokens_, targets_, control_.slice(0, 1), memory_->saved, ctx);
  }
  sum_over_ranks(control_);
  return read(control_.slice(0, 1)) / static_cast<double>(samples * sequence_length_);
}

std::vector<SegmentBytes> Engine::memory() const { return memory_->segments(); }

}  // namespace weft
