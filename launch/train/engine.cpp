#include "launch/train/engine.h"

#include <algorithm>
#include <cmath>

#include "optim/freeze.h"
#include "parallel/comm/trace.h"
#include "parallel/tensor/gpt_placement.h"

namespace weft {

namespace {

Sharding sharding_of(const RunConfig& config) {
  return {.zero = static_cast<int>(config.mesh.zero),
          .bucket_bytes = config.train.bucket_size_mib << 20};
}

}  // namespace

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
      parameters_(rank.mesh.shape(), rank.mesh.coord(), sharding_of(config)),
      model_(config.model, tensor_parallel_placement(), parameters_),
      optimizer_(config.optimizer, parameters_),
      norm_(parameters_),
      handover_(rank.device.make_event()),
      report_(rank.device, rank.compute) {
  if (rank.tensor_side != nullptr) tensor_side_.emplace(rank.device, *rank.tensor_side);
  freeze(parameters_, config.optimizer.freeze);
  Memory plan;
  lay_out(plan);
  rehearse(plan);
  admit(plan.segments());
  memory_ = std::make_unique<Memory>(rank.device, plan);
  lay_out(*memory_);
  host_tokens_.resize(static_cast<size_t>(tokens_.elements()));
  host_targets_.resize(static_cast<size_t>(targets_.elements()));
  parameters_.initialize(static_cast<uint64_t>(config.seed), rank.device, rank.compute);
  reducer_ = std::make_unique<GradientReducer>(parameters_, rank.mesh, rank.device,
                                               rank.communication, rank.ops);
  if (parameters_.sharding().zero > 0) {
    gatherer_ =
        std::make_unique<WeightGatherer>(parameters_, rank.mesh, rank.device, rank.communication);
  }
}

Engine::~Engine() = default;

void Engine::lay_out(Memory& memory) {
  parameters_.allocate(memory.weights, &memory.gradients, DType::f32);
  model_.allocate_constants(memory.weights, DType::f32, rank_.device, rank_.compute);
  optimizer_.allocate(memory.optimizer);
  norm_.allocate(memory.optimizer);
  tokens_ = memory.batch.allocate({plan_.rows(), sequence_length_}, DType::i32);
  targets_ = memory.batch.allocate({plan_.rows(), sequence_length_}, DType::i32);
  report_.allocate(memory.batch, plan_.all_micro_batches() * rank_.mesh.shape().cp);
}

// One micro-batch and one evaluation over counting arenas: their peaks are the plan.
void Engine::rehearse(Memory& memory) {
  const std::unique_ptr<Ops> counting = make_counting_ops();
  std::unique_ptr<Communicator> nobody;  // collectives that move nothing
  if (tensor_group() != nullptr) {
    nobody = make_counting_communicator("tp", rank_.mesh.coord().tp, rank_.mesh.shape().tp);
  }
  Context training = context(memory, *counting, nobody.get(), 1, 0, true);
  const Tensor loss = report_.loss(0);
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

// Every rank that sees other tokens has a slot of its own for its part of a micro-batch's loss.
int64_t Engine::loss_slot(int64_t micro_batch) const {
  return micro_batch * rank_.mesh.shape().cp + rank_.mesh.coord().cp;
}

// From the report, which is complete on this rank after the call.
double Engine::total_loss() {
  sum_over_ranks(report_.values());
  report_.read();
  return report_.total_loss();
}

double Engine::mean_loss(int64_t samples) {
  return total_loss() / static_cast<double>(samples * sequence_length_);
}

void Engine::accumulate(int64_t update, int64_t first_sample, const FillSample& fill) {
  const double tokens = static_cast<double>(config_.train.batch_size * sequence_length_);
  const int64_t dp_rank = rank_.mesh.coord().dp;
  reducer_->begin(plan_.micro_batches());
  for (int64_t m = 0; m < plan_.micro_batches(); ++m) {
    const int64_t sample = first_sample + plan_.sample(0, dp_rank, m, 0);
    load(sample, fill);
    Context ctx = context(*memory_, rank_.ops, tensor_group(), update, sample, true);
    model_.forward(tokens_, memory_->saved, ctx);
    const Tensor loss = report_.loss(loss_slot(plan_.micro_batch(dp_rank, m)));
    model_.backward(tokens_, targets_, 1.0 / tokens, loss, memory_->saved, ctx, reducer_.get());
  }
  reducer_->finish(rank_.compute);
}

StepResult Engine::step(int64_t update, double lr, int64_t first_sample, const FillSample& fill,
                        bool stop) {
  report_.reset(stop);
  accumulate(update, first_sample, fill);
  clear_frozen_gradients(parameters_, rank_.ops, rank_.compute);
  norm_.sum_blocks(rank_.ops, rank_.compute);
  if (gatherer_) sum_over_ranks(norm_.blocks());
  norm_.combine(config_.train.clip_norm, rank_.mesh, rank_.ops, rank_.compute);
  StepResult result;
  result.loss = mean_loss(config_.train.batch_size);
  result.grad_norm = read(norm_.norm());
  result.stop = report_.stop();
  if (!std::isfinite(result.loss) || !std::isfinite(result.grad_norm)) {
    fail(ErrorKind::diverged,
         "step {}: loss {} and gradient norm {} are not finite; lower schedule.peak_lr ({} now), "
         "raise schedule.warmup_steps or set train.clip_norm, and resume from the last checkpoint",
         update, result.loss, result.grad_norm, config_.schedule.peak_lr);
  }
  optimizer_.step(lr, update, norm_.clip(), rank_.ops, rank_.compute, gatherer_.get());
  if (gatherer_) gatherer_->finish(rank_.compute);
  return result;
}

double Engine::gradients(int64_t first_sample, const FillSample& fill) {
  report_.reset(false);
  accumulate(1, first_sample, fill);
  return mean_loss(config_.train.batch_size);
}

void Engine::clear_gradients() {
  for (const auto& p : parameters_) rank_.ops.fill(p->grad, 0, rank_.compute);
}

double Engine::evaluate(int64_t samples, const FillSample& fill) {
  // In rounds of as many micro-batches as a step has; a short last one is filled up with samples
  // whose targets are ignored.
  const FillSample fill_up = [&](int64_t sample, std::span<int32_t> inputs,
                                 std::span<int32_t> targets) {
    fill(std::min(sample, samples - 1), inputs, targets);
    if (sample >= samples) std::fill(targets.begin(), targets.end(), -1);
  };
  const int64_t batches = (samples + plan_.rows() - 1) / plan_.rows();
  double total = 0;
  for (int64_t first = 0; first < batches; first += plan_.all_micro_batches()) {
    const int64_t count = std::min(plan_.all_micro_batches(), batches - first);
    total += evaluate_round(first, count, fill_up);
  }
  return total / static_cast<double>(samples * sequence_length_);
}

// The summed loss of micro-batches [first, first + count) of an evaluation, of which every rank
// takes a contiguous share.
double Engine::evaluate_round(int64_t first, int64_t count, const FillSample& fill) {
  const int64_t ranks = rank_.mesh.shape().dp;
  const int64_t dp_rank = rank_.mesh.coord().dp;
  report_.reset(false);
  for (int64_t b = count * dp_rank / ranks; b < count * (dp_rank + 1) / ranks; ++b) {
    const int64_t sample = (first + b) * plan_.rows();
    load(sample, fill);
    Context ctx = context(*memory_, rank_.ops, tensor_group(), 0, sample, false);
    model_.loss(tokens_, targets_, report_.loss(loss_slot(b)), memory_->saved, ctx);
  }
  return total_loss();
}

std::vector<SegmentBytes> Engine::memory() const { return memory_->segments(); }

}  // namespace weft
