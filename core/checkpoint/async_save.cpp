#include "core/checkpoint/async_save.h"

#include <fmt/format.h>

#include <utility>

#include "core/base/error.h"
#include "core/checkpoint/save_stages.h"
#include "core/mesh/communicator.h"

namespace weft {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

bool AsyncSave::first() const { return bootstrap_.rank() == 0; }

void AsyncSave::begin(const SaveRequest& request, Event& copied) {
  WEFT_CHECK(!in_flight(), "a save of step {} while one is in flight", request.step);
  auto save = std::make_unique<Save>();
  save->start = std::chrono::steady_clock::now();
  save->request = request;
  save->shards.assign(request.shards.begin(), request.shards.end());
  save->request.shards = save->shards;
  save->attachments.assign(request.attachments.begin(), request.attachments.end());
  save->request.attachments = save->attachments;
  FileWriter writer(request.hooks);
  save->staged = stage_save(save->request, bootstrap_, writer, save->lock, save->notices);
  save_ = std::move(save);
  io_.start([save = save_.get(), rank = bootstrap_.rank(), &copied] {
    save->outcome = attempt([&] {
      copied.synchronize();
      FileWriter own_writer(save->request.hooks);
      return write_shards(save->request, rank, save->staged, own_writer);
    });
  });
}

int AsyncSave::vote() const {
  if (!in_flight() || (save_->committing && !first())) return 0;
  return io_.idle() ? 1 : 0;
}

int64_t AsyncSave::votes_needed() const { return save_->committing ? 1 : bootstrap_.size(); }

std::optional<SaveResult> AsyncSave::advance(int64_t votes) {
  if (!in_flight() || votes < votes_needed()) return std::nullopt;
  if (save_->committing) return end_commit();
  begin_commit();
  return std::nullopt;
}

SaveResult AsyncSave::wait() {
  WEFT_CHECK(in_flight(), "no save to wait for");
  if (!save_->committing) {
    io_.wait();
    begin_commit();
  }
  return end_commit();
}

// Collective; this rank's I/O thread has written its part.
void AsyncSave::begin_commit() {
  WEFT_CHECK(io_.idle(), "a save is committed while it is written");
  try {
    save_->parts = agree(save_->outcome, save_->request.step, bootstrap_);
  } catch (const Error& error) {
    const std::unique_ptr<Save> save = std::move(save_);
    if (first()) discard_save(save->staged, error);
    throw;
  }
  save_->committing = true;
  if (!first()) return;
  io_.start([save = save_.get()] {
    save->outcome = attempt([&] {
      FileWriter writer(save->request.hooks);
      Committed committed = commit_save(save->request, save->staged, save->parts, writer);
      for (std::string& notice : committed.notices) save->notices.push_back(std::move(notice));
      return fmt::format("{} {} {}", committed.bytes, seconds_since(save->start), committed.path);
    });
  });
}

// Collective; waits for rank 0's I/O thread.
SaveResult AsyncSave::end_commit() {
  io_.wait();
  const std::unique_ptr<Save> save = std::move(save_);
  const std::string text = agree_with_rank_zero(save->outcome, save->request.step, bootstrap_);
  const size_t space = text.find(' ');
  const size_t second = text.find(' ', space + 1);
  return {.path = text.substr(second + 1),
          .bytes = std::stoll(text.substr(0, space)),
          .seconds = std::stod(text.substr(space + 1, second - space - 1)),
          .notices = std::move(save->notices)};
}

}  // namespace weft
