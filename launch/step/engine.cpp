#include "launch/step/engine.h"

#include <algorithm>
#include <cmath>

#include "launch/step/engine_work.h"
#include "launch/step/model_partition.h"
#include "optim/freeze.h"
#include "optim/weight_rounding.h"
#include "parallel/comm/trace.h"

namespace weft {

namespace {

// Levels of the tree over the micro-batches of a rank.
int tree_levels(int64_t micro_batches) {
  int levels = 0;
  while ((int64_t{1} << levels) < micro_batches) ++levels;
  return levels;
}

Sharding sharding_of(const RunConfig& config, const BatchPlan& plan, const MeshShape& mesh) {
  // A GPU alone has nobody to share with, and no group whose calls would copy.
  const bool alone = config.device == DeviceKind::cuda && mesh.size(data_axes()) == 1;
  return {.zero = alone ? 0 : static_cast<int>(config.mesh.zero),
          .bucket_bytes = config.train.bucket_size_mib << 20,
          .elastic = config.elastic(),
          .tree_levels = config.elastic() ? tree_levels(plan.micro_batches()) : 0};
}

[[noreturn]] void throw_shared(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    throw SharedError(error.kind(), error.what());
  } catch (const std::exception& error) {
    throw SharedError(ErrorKind::internal, error.what());
  }
}

}  // namespace

Engine::Engine(const RunConfig& config, const RankResources& rank, const AdmitMemory& admit)
    : config_(config),
      rank_(rank),
      sequence_length_(config.sequence_length()),
      share_(TokenShare::zigzag(sequence_length_, rank.mesh.coord().cp, rank.mesh.shape().cp)),
      plan_(config.train.batch_size, rank.mesh.shape().dp,
            config.micro_batch_size(rank.mesh.shape().dp),
            config.elastic() && config.mesh.zero >= 2),
      partition_(model_partition(config)),
      schedule_(make_schedule(config.pipeline.schedule,
                              {.stages = rank.mesh.shape().pp,
                               .microbatches = static_cast<int>(plan_.micro_batches()),
                               .chunks = partition_.chain().chunks})),
      train_plan_(make_stage_plan(schedule_, rank.mesh.coord().pp)),
      evaluate_plan_(make_stage_plan(
          make_forward_schedule(partition_.chain(), schedule_.microbatches), rank.mesh.coord().pp)),
      parameters_(rank.mesh.shape(), rank.mesh.coord(),
                  sharding_of(config, plan_, rank.mesh.shape())),
      model_(config.model, partition_, parameters_),
      optimizer_(make_optimizer(config.optimizer, static_cast<uint64_t>(config.seed), parameters_)),
      norm_(parameters_, rank.mesh, rank.device, rank.communication),
      control_(config.scales_loss() ? std::optional(config.loss_scale) : std::nullopt),
      shared_gradients_(parameters_),
      executor_(rank.mesh, rank.device, rank.compute),
      handover_(rank.device.make_event()),
      passes_(rank.recorder, rank.ops, rank.compute),
      inputs_(rank.device, rank.compute, plan_.rows(), sequence_length_, share_),
      report_(rank.device, rank.compute) {
  WEFT_CHECK(rank.recorder == nullptr || groups().values == PerAxis<Communicator*>().values,
             "passes with collectives in them cannot be recorded");
  for (const AxisInfo& a : kAxes) {
    Stream* side = rank.sides[a.axis];
    if (side != nullptr) sides_[a.axis] = std::make_unique<SideStream>(rank.device, *side);
  }
  freeze(parameters_, config.optimizer.freeze);
  EngineMemory plan;
  lay_out(plan, train_plan_.slots);
  const size_t operations = rehearse(plan);
  require_room(plan.snapshot.peak(), config.checkpoint);
  admit(plan.segments(train_plan_.slots, operations));
  rank.ops.reserve(operations);
  memory_ = std::make_unique<EngineMemory>(rank.device, plan, train_plan_.slots);
  lay_out(*memory_, train_plan_.slots);
  parameters_.initialize(static_cast<uint64_t>(config.seed), rank.device, rank.compute);
  control_.restore({}, rank.device, rank.compute);
  data_parallel_ = std::make_unique<DataParallel>(parameters_, rank.mesh, rank.device,
                                                  rank.communication, rank.ops);
}

Engine::~Engine() = default;

void Engine::restore(const UpdateControl::State& state) {
  control_.restore(state, rank_.device, rank_.compute);
  if (!parameters_.has_masters()) return;
  round_weights(config_.optimizer, static_cast<uint64_t>(config_.seed), state.made, parameters_,
                rank_.ops, rank_.compute, data_parallel_->updates());
  data_parallel_->finish_updates(rank_.compute);
}

Shape Engine::activation() const {
  const int64_t rows = plan_.rows() * share_.count / rank_.mesh.shape().tp;
  return {rows, config_.model.width};
}

void Engine::lay_out(EngineMemory& memory, int slots) {
  const DType dtype = config_.compute_type();
  parameters_.allocate(memory.weights, &memory.gradients, dtype, &memory.optimizer);
  model_.allocate_constants(memory.weights, dtype, rank_.device, rank_.compute);
  {
    const ArenaScope until_passes(memory.workspace);
    optimizer_->allocate(memory.optimizer, memory.workspace);
  }
  norm_.allocate(memory.optimizer);
  control_.allocate(memory.optimizer, memory.staging);
  shared_gradients_.allocate(memory.communication);
  executor_.allocate(memory.communication, train_plan_, activation(), dtype);
  const Shape ids{plan_.rows(), share_.count};
  for (int slot = 0; slot < slots; ++slot) {
    const MicroBatch batch{
        .tokens = memory.batch.allocate(ids, DType::i32),
        .targets = memory.batch.allocate(ids, DType::i32),
        .grad_scale = 1.0 / static_cast<double>(config_.train.batch_size * sequence_length_),
        .loss_sum = memory.batch.allocate({1}, DType::f64)};
    memory.units[memory.units.size() == 1 ? 0 : static_cast<size_t>(slot)].batch = batch;
  }
  if (config_.saves_from_copy()) snapshot_.allocate(memory.snapshot, parameters_, *optimizer_);
  inputs_.allocate(memory.staging);
  host_norm_ = memory.staging.allocate({1}, DType::f64);
  report_.allocate(memory.batch, memory.staging, plan_.all_micro_batches() * rank_.mesh.shape().cp);
}

// One micro-batch and one evaluation of each chunk, and an update, over counting arenas: their
// peaks are the plan, and the result what operations need beside them.
size_t Engine::rehearse(EngineMemory& memory) {
  const std::unique_ptr<Ops> counting = make_counting_ops(rank_.ops.working_memory());
  // Collectives that move nothing.
  PerAxis<std::unique_ptr<Communicator>> counted;
  PerAxis<Communicator*> nobody;
  for (const AxisInfo& a : kAxes) {
    const int size = rank_.mesh.shape().extent(a.axis);
    if (!a.layers || size == 1) continue;
    counted[a.axis] =
        make_counting_communicator(std::string(a.name), rank_.mesh.coord().index(a.axis), size);
    nobody[a.axis] = counted[a.axis].get();
  }
  Context training = context(memory, *counting, nobody, 1, 0, true);
  Context evaluation = context(memory, *counting, nobody, 1, 0, false);
  UnitMemory& unit = memory.units.front();
  const Tensor boundary(nullptr, activation(), config_.compute_type());
  for (int chunk = 0; chunk < model_.chunks(); ++chunk) {
    const Tensor in = model_.part(chunk).embeds ? Tensor() : boundary;
    model_.forward(chunk, unit.batch, in, unit.saved, training);
    model_.backward(chunk, unit.batch, boundary, unit.saved, training);
    if (training.defer_weights) model_.backward_weights(chunk, unit.saved, training);
    model_.evaluate(chunk, unit.batch, in, unit.saved, evaluation);
  }
  optimizer_->step(update_inputs(0, nobody), *counting, rank_.compute);
  return counting->reserved();
}

UpdateInputs Engine::update_inputs(double lr, const PerAxis<Communicator*>& groups) const {
  return {.lr = lr, .clip = norm_.clip(), .update = control_.update(), .tensor = groups[Axis::tp]};
}

PerAxis<Communicator*> Engine::groups() {
  PerAxis<Communicator*> groups;
  for (const AxisInfo& a : kAxes) {
    if (a.layers && rank_.mesh.shape().extent(a.axis) > 1)
      groups[a.axis] = &rank_.mesh.axis(a.axis);
  }
  return groups;
}

Context Engine::context(EngineMemory& memory, Ops& ops, const PerAxis<Communicator*>& groups,
                        int64_t update, int64_t first_sample, bool training) {
  PerAxis<AxisGroup> axes;
  for (const AxisInfo& a : kAxes) {
    if (groups[a.axis] != nullptr) axes[a.axis] = {groups[a.axis], sides_[a.axis].get()};
  }
  return {.ops = ops,
          .stream = rank_.compute,
          .work = memory.workspace,
          .dtype = config_.compute_type(),
          .seed = static_cast<uint64_t>(config_.seed),
          .step = static_cast<uint32_t>(update),
          .dropout = training && config_.model.dropout > 0,
          .defer_weights = training && schedule_.split_backward,
          .recompute = config_.recompute.of_stage(rank_.mesh.coord().pp),
          .loss_scale = control_.loss_scale(),
          .samples = plan_.rows(),
          .first_sample = first_sample,
          .tokens = share_,
          .axes = axes,
          .units = data_parallel_ ? data_parallel_->units() : nullptr};
}

// Over the ranks of `group`, on the communication stream, which the compute stream then waits for.
void Engine::sum_over(Communicator& group, const Tensor& values) {
  rank_.compute.record(*handover_);
  rank_.communication.wait(*handover_);
  group.all_reduce(values, ReduceOp::sum, rank_.communication);
  rank_.communication.record(*handover_);
  rank_.compute.wait(*handover_);
}

// Every rank that sees other tokens has a slot of its own for its part of a micro-batch's loss.
int64_t Engine::loss_slot(int64_t micro_batch) const {
  return micro_batch * rank_.mesh.shape().cp + rank_.mesh.coord().cp;
}

// From the report, which is complete on this rank after the call. Of the ranks that compute the
// same loss one speaks. A rank that could not read its samples has gone on without, since the
// others wait for it in collectives; now its loss tells them.
double Engine::total_loss() {
  if (rank_.mesh.coord().tp != 0)
    rank_.ops(op::Fill{.x = report_.losses(), .value = 0}, rank_.compute);
  const std::exception_ptr failure = inputs_.take_failure();
  if (failure) rank_.ops(op::Fill{.x = report_.losses(), .value = std::nan("")}, rank_.compute);
  sum_over(rank_.mesh.world(), report_.values());
  report_.read();
  // Nothing is under way any more: what failed in a transfer is thrown here.
  rank_.communication.synchronize();
  executor_.synchronize();
  rank_.mesh.world().check();
  if (failure) throw_shared(failure);
  return report_.total_loss();
}

double Engine::mean_loss(int64_t samples) {
  return total_loss() / static_cast<double>(samples * sequence_length_);
}

void Engine::accumulate(int64_t update, int64_t first_sample, const FillSample& fill) {
  data_parallel_->begin_step(plan_.micro_batches());
  Work work(*this, fill, true, update, first_sample);
  executor_.run(train_plan_, work);
  data_parallel_->finish_gradients(rank_.compute);
  shared_gradients_.sum(rank_.mesh, rank_.ops, rank_.compute);
}

StepResult Engine::step(int64_t update, double lr, int64_t first_sample, const FillSample& fill,
                        bool stop, int vote) {
  const UpdateControl::State before = control_.state();
  WEFT_CHECK(update == before.steps() + 1, "step {} after {} steps; restore() the state", update,
             before.steps());
  report_.reset(stop, vote);
  accumulate(update, first_sample, fill);
  clear_frozen_gradients(parameters_, rank_.ops, rank_.compute);
  norm_.compute(config_.train.clip_norm, control_.loss_scale(), rank_.ops, rank_.compute);
  control_.decide(norm_.norm(), rank_.ops, rank_.compute);
  optimizer_->step(update_inputs(lr, groups()), rank_.ops, rank_.compute,
                   data_parallel_->updates());
  data_parallel_->finish_updates(rank_.compute);
  StepResult result{.loss_scale = before.loss_scale};
  rank_.device.copy_to_host(host_norm_.raw(), norm_.norm().raw(), sizeof(double), rank_.compute);
  control_.fetch(rank_.device, rank_.compute);
  result.loss = mean_loss(config_.train.batch_size);
  result.grad_norm = *host_norm_.data<double>();
  result.stop = report_.stop();
  result.votes = report_.votes();
  result.skipped = control_.state().skipped > before.skipped;
  // A smaller loss scale helps gradients that are too large for the type, never the loss itself.
  const bool may_go_on = std::isfinite(result.grad_norm) || (result.skipped && may_skip(before));
  if (std::isfinite(result.loss) && may_go_on) return result;
  throw SharedError(
      ErrorKind::diverged,
      fmt::format(
          "step {}: loss {} and gradient norm {} are not finite{}; lower schedule.peak_lr "
          "({} now), raise schedule.warmup_steps or set train.clip_norm, and resume from "
          "the last checkpoint",
          update, result.loss, result.grad_norm,
          before.loss_scale ? fmt::format(" at a loss scale of {}", *before.loss_scale) : "",
          config_.schedule.peak_lr));
}

// Whether the next step has a smaller loss scale.
bool Engine::may_skip(const UpdateControl::State& before) const {
  return before.loss_scale && *control_.state().loss_scale < *before.loss_scale;
}

double Engine::gradients(int64_t first_sample, const FillSample& fill) {
  report_.reset(false, 0);
  accumulate(1, first_sample, fill);
  return mean_loss(config_.train.batch_size);
}

void Engine::clear_gradients() {
  for (const auto& p : parameters_)
    rank_.ops(op::Fill{.x = p->own_grad, .value = 0}, rank_.compute);
}

std::optional<double> Engine::evaluate(int64_t samples, const FillSample& fill,
                                       const std::function<bool()>& stop) {
  // In rounds of as many micro-batches as a step has; the last one is filled up with samples whose
  // targets are ignored.
  const FillSample fill_up = [&](int64_t sample, std::span<int32_t> inputs,
                                 std::span<int32_t> targets) {
    fill(std::min(sample, samples - 1), inputs, targets);
    if (sample >= samples) std::fill(targets.begin(), targets.end(), -1);
  };
  const int64_t round = plan_.all_micro_batches() * plan_.rows();
  double total = 0;
  for (int64_t first = 0; first < samples; first += round) {
    report_.reset(stop && stop(), 0);
    Work work(*this, fill_up, false, 0, first);
    executor_.run(evaluate_plan_, work);
    total += total_loss();
    if (!std::isfinite(total)) {
      throw SharedError(
          ErrorKind::diverged,
          fmt::format("step {}: the validation loss is not finite; lower "
                      "schedule.peak_lr ({} now), and resume from the last checkpoint",
                      control_.state().steps(), config_.schedule.peak_lr));
    }
    if (report_.stop()) return std::nullopt;
  }
  return total / static_cast<double>(samples * sequence_length_);
}

std::vector<SegmentBytes> Engine::memory() const {
  return memory_->segments(train_plan_.slots, rank_.ops.reserved());
}

}  // namespace weft
