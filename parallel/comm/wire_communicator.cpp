// Every collective opens with one message to each peer: the header of the call, followed by the
// payload where that is small. Large payloads follow once all headers agree, in chunks, pairwise:
//
//   all_reduce, step s:  post chunk s of everybody's block to its owner;
//                        fold chunk s - 1 of the own block as it has arrived, post it to everybody;
//                        wait for chunk s - 2 of the other blocks.
//
// reduce_scatter is the first half of it, all_gather the second.
#include "parallel/comm/wire_communicator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

#include "parallel/comm/blocks.h"
#include "parallel/comm/call.h"
#include "parallel/comm/fold.h"
#include "parallel/comm/host_communicator.h"

namespace weft {
namespace {

// Payload that travels with the header: every rank sends it to every other one, so large groups
// stop at less. The same on all ranks, as it decides what they do next.
size_t inline_bytes(int ranks) {
  constexpr size_t kLeast = size_t{2} << 10;
  constexpr size_t kShared = size_t{32} << 10;
  return std::max(kLeast, kShared / static_cast<size_t>(ranks));
}

// Largest single message of a gather, a broadcast or an exchange.
constexpr size_t kPieceBytes = size_t{64} << 20;

// What a message of an exchange announces.
struct MessageHeader {
  DType dtype = DType::u8;
  int64_t count = 0;
};

class WireCommunicator final : public HostCommunicator {
 public:
  WireCommunicator(std::unique_ptr<Wire> wire, int rank, std::vector<int> world_ranks,
                   const std::string& axis, size_t chunk_bytes, std::shared_ptr<Patience> patience);
  ~WireCommunicator() override;
  WireCommunicator(const WireCommunicator&) = delete;
  WireCommunicator& operator=(const WireCommunicator&) = delete;

 protected:
  void execute(const Call& call) override;
  void execute_exchange(std::span<const Message> messages, int64_t sequence) override;

 private:
  void run(const Call& call);
  void open(const Call& call);
  void check_headers(const CallHeader& mine) const;
  void finish_inline(const Call& call);
  void reduce_chunks(const Call& call, const Blocks& blocks, bool gather);
  void post_reduce(const Call& call, const Blocks& blocks, int64_t step);
  void fold_chunk(const Call& call, const Blocks& blocks, int64_t step, void* own);
  void post_gather(const Call& call, const Blocks& blocks, int64_t step, int64_t chunk);
  void gather_blocks(const Call& call, const Blocks& blocks);
  void broadcast_pieces(const Call& call);
  void post_messages(std::span<const Message> messages);
  void check_messages(std::span<const Message> messages, int64_t sequence) const;

  void send(WireBatch batch, WireTag tag, int peer, const void* data, size_t bytes) {
    wire_->send(batch, tag, peer, data, bytes);
  }
  void receive(WireBatch batch, WireTag tag, int peer, void* data, size_t bytes) {
    wire_->receive(batch, tag, peer, data, bytes);
  }
  // Throws Error{peer} naming the call, which what() returns, and those who did not come.
  template <typename What>
  void wait(WireBatch batch, std::string_view op, const What& what);
  void wait(WireBatch batch, const CallHeader& header) {
    wait(batch, name(header.op), [&] { return to_string(header); });
  }
  std::string missing(WireBatch batch) const;  // the members with which it is incomplete
  std::string member(int rank) const;

  bool is_inline(const CallHeader& header) const { return header.bytes() <= inline_bytes_; }
  size_t opening_bytes() const { return sizeof(CallHeader) + inline_bytes_; }
  const void* inline_payload(const Call& call, int peer) const;
  std::byte* opening_from(int peer) {
    return opening_in_.data() + static_cast<size_t>(peer) * opening_bytes();
  }
  std::byte* chunk_from(int peer, int64_t step) {
    const auto slot = static_cast<size_t>((step & 1) * size() + peer);
    return chunks_.data() + slot * chunk_bytes_;
  }

  std::unique_ptr<Wire> wire_;
  std::vector<int> world_ranks_;
  size_t chunk_bytes_;
  std::shared_ptr<Patience> patience_;
  int exceptions_;
  std::string failure_;  // of the first call that failed

  size_t inline_bytes_;
  std::vector<std::byte> opening_out_;  // opening_bytes() per peer
  std::vector<std::byte> opening_in_;
  std::vector<std::byte> chunks_;  // two per peer, from the first large reduction on
  FoldScratch scratch_;
  std::vector<const void*> sources_;
  std::vector<MessageHeader> message_headers_;
};

WireBatch reducing(int64_t step) {
  return step % 2 == 0 ? WireBatch::reducing_even : WireBatch::reducing_odd;
}
WireBatch gathering(int64_t step) {
  return step % 2 == 0 ? WireBatch::gathering_even : WireBatch::gathering_odd;
}

// One block's part of a chunked collective: elements [begin, begin + count) of the whole.
struct Part {
  int64_t begin = 0;
  int64_t count = 0;
};

Part part_of(const Blocks& blocks, int rank, int64_t step, int64_t chunk) {
  const int64_t begin = std::min(blocks.end(rank), blocks.begin(rank) + step * chunk);
  return {begin, std::min(chunk, blocks.end(rank) - begin)};
}

int64_t steps_of(const Blocks& blocks, int64_t chunk) {
  return (blocks.size(0) + chunk - 1) / chunk;  // no block is longer than the first
}

WireCommunicator::WireCommunicator(std::unique_ptr<Wire> wire, int rank,
                                   std::vector<int> world_ranks, const std::string& axis,
                                   size_t chunk_bytes, std::shared_ptr<Patience> patience)
    : HostCommunicator(rank, static_cast<int>(world_ranks.size()), axis),
      wire_(std::move(wire)),
      world_ranks_(std::move(world_ranks)),
      chunk_bytes_(chunk_bytes),
      patience_(std::move(patience)),
      exceptions_(std::uncaught_exceptions()),
      inline_bytes_(inline_bytes(size())),
      opening_out_(static_cast<size_t>(size()) * opening_bytes()),
      opening_in_(static_cast<size_t>(size()) * opening_bytes()),
      scratch_(size()),
      sources_(static_cast<size_t>(size())) {}

WireCommunicator::~WireCommunicator() {
  if (failure_.empty() && std::uncaught_exceptions() <= exceptions_) wire_->release();
}

void WireCommunicator::execute(const Call& call) {
  if (!failure_.empty()) throw Error(ErrorKind::peer, failure_);
  try {
    run(call);
  } catch (const Error& error) {
    failure_ = error.what();
    wire_->cancel();
    throw;
  }
}

void WireCommunicator::run(const Call& call) {
  const CallHeader& h = call.header;
  open(call);
  if (is_inline(h)) return finish_inline(call);
  switch (h.op) {
    case CommOp::all_reduce:
      return reduce_chunks(call, Blocks::split(h.count, size()), true);
    case CommOp::reduce_scatter:
      return reduce_chunks(call, {h.count * size(), h.count}, false);
    case CommOp::all_gather:
      return gather_blocks(call, {h.count * size(), h.count});
    case CommOp::broadcast:
      return broadcast_pieces(call);
    case CommOp::barrier:
    case CommOp::exchange:
      return;
  }
}

// ---- Opening ------------------------------------------------------------------------------------

const void* WireCommunicator::inline_payload(const Call& call, int peer) const {
  const CallHeader& h = call.header;
  if (!is_inline(h) || h.bytes() == 0) return nullptr;
  if (h.op == CommOp::barrier || (h.op == CommOp::broadcast && h.root != rank())) return nullptr;
  if (h.op == CommOp::reduce_scatter) return at(call.in, static_cast<size_t>(peer) * h.bytes());
  return call.in;
}

void WireCommunicator::open(const Call& call) {
  for (int p = 0; p < size(); ++p) {
    if (p != rank())
      receive(WireBatch::opening, WireTag::open, p, opening_from(p), opening_bytes());
  }
  for (int p = 0; p < size(); ++p) {
    if (p == rank()) continue;
    std::byte* message = opening_out_.data() + static_cast<size_t>(p) * opening_bytes();
    std::memcpy(message, &call.header, sizeof(CallHeader));
    const void* payload = inline_payload(call, p);
    const size_t bytes = payload == nullptr ? 0 : call.header.bytes();
    if (bytes > 0) std::memcpy(message + sizeof(CallHeader), payload, bytes);
    send(WireBatch::opening, WireTag::open, p, message, sizeof(CallHeader) + bytes);
  }
  wait(WireBatch::opening, call.header);
  check_headers(call.header);
}

void WireCommunicator::check_headers(const CallHeader& mine) const {
  for (int p = 0; p < size(); ++p) {
    if (p == rank()) continue;
    CallHeader theirs;
    std::memcpy(static_cast<void*>(&theirs),
                opening_in_.data() + static_cast<size_t>(p) * opening_bytes(), sizeof(CallHeader));
    if (theirs == mine) continue;
    fail(ErrorKind::peer, "the calls on axis {} differ: {} made {}, {} made {}", axis(),
         member(rank()), to_string(mine), member(p), to_string(theirs));
  }
}

void WireCommunicator::finish_inline(const Call& call) {
  const CallHeader& h = call.header;
  const auto payload = [&](int p) -> const std::byte* {
    if (p != rank()) return opening_from(p) + sizeof(CallHeader);
    return static_cast<const std::byte*>(inline_payload(call, p));
  };
  if (h.bytes() == 0) return;
  if (h.op == CommOp::all_reduce || h.op == CommOp::reduce_scatter) {
    for (int p = 0; p < size(); ++p) sources_[static_cast<size_t>(p)] = payload(p);
    fold(sources_.data(), size(), call.out, h.count, h.dtype, h.reduce, scratch_);
  } else if (h.op == CommOp::all_gather) {
    for (int p = 0; p < size(); ++p) {
      std::memmove(at(call.out, static_cast<size_t>(p) * h.bytes()), payload(p), h.bytes());
    }
  } else if (h.op == CommOp::broadcast && h.root != rank()) {
    std::memcpy(call.out, payload(h.root), h.bytes());
  }
}

// ---- Large payloads -----------------------------------------------------------------------------

void WireCommunicator::reduce_chunks(const Call& call, const Blocks& blocks, bool gather) {
  const auto chunk = static_cast<int64_t>(chunk_bytes_ / call.header.element_bytes());
  const int64_t steps = steps_of(blocks, chunk);
  chunks_.resize(2 * static_cast<size_t>(size()) * chunk_bytes_);
  const size_t element = call.header.element_bytes();
  const int64_t own = blocks.begin(rank());
  void* const out = gather ? at(call.out, static_cast<size_t>(own) * element) : call.out;
  for (int64_t s = 0; s < steps + 2; ++s) {
    if (s < steps) post_reduce(call, blocks, s);
    if (1 <= s && s <= steps) {
      wait(reducing(s - 1), call.header);
      fold_chunk(call, blocks, s - 1, out);
      if (gather) post_gather(call, blocks, s - 1, chunk);
    }
    if (gather && s >= 2) wait(gathering(s), call.header);
  }
}

void WireCommunicator::post_reduce(const Call& call, const Blocks& blocks, int64_t step) {
  const size_t element = call.header.element_bytes();
  const auto chunk = static_cast<int64_t>(chunk_bytes_ / element);
  const Part mine = part_of(blocks, rank(), step, chunk);
  for (int p = 0; p < size(); ++p) {
    if (p == rank() || mine.count == 0) continue;
    receive(reducing(step), WireTag::reduce, p, chunk_from(p, step),
            static_cast<size_t>(mine.count) * element);
  }
  for (int p = 0; p < size(); ++p) {
    const Part part = part_of(blocks, p, step, chunk);
    if (p == rank() || part.count == 0) continue;
    send(reducing(step), WireTag::reduce, p, at(call.in, static_cast<size_t>(part.begin) * element),
         static_cast<size_t>(part.count) * element);
  }
}

// `own`: where the fold of the own block goes, from its first element on.
void WireCommunicator::fold_chunk(const Call& call, const Blocks& blocks, int64_t step, void* own) {
  const size_t element = call.header.element_bytes();
  const auto chunk = static_cast<int64_t>(chunk_bytes_ / element);
  const Part mine = part_of(blocks, rank(), step, chunk);
  if (mine.count == 0) return;
  for (int p = 0; p < size(); ++p) {
    sources_[static_cast<size_t>(p)] =
        p == rank() ? at(call.in, static_cast<size_t>(mine.begin) * element) : chunk_from(p, step);
  }
  const auto offset = static_cast<size_t>(mine.begin - blocks.begin(rank())) * element;
  fold(sources_.data(), size(), at(own, offset), mine.count, call.header.dtype, call.header.reduce,
       scratch_);
}

// Chunk `step` of the own block goes to everybody, theirs come in; all lie in call.out. The chunks
// that come in overwrite what post_reduce sent, which wait() has seen leave.
void WireCommunicator::post_gather(const Call& call, const Blocks& blocks, int64_t step,
                                   int64_t chunk) {
  const size_t element = call.header.element_bytes();
  const Part mine = part_of(blocks, rank(), step, chunk);
  for (int p = 0; p < size(); ++p) {
    const Part part = part_of(blocks, p, step, chunk);
    if (p == rank() || part.count == 0) continue;
    receive(gathering(step), WireTag::gather, p,
            at(call.out, static_cast<size_t>(part.begin) * element),
            static_cast<size_t>(part.count) * element);
  }
  for (int p = 0; p < size(); ++p) {
    if (p == rank() || mine.count == 0) continue;
    send(gathering(step), WireTag::gather, p,
         at(call.out, static_cast<size_t>(mine.begin) * element),
         static_cast<size_t>(mine.count) * element);
  }
}

void WireCommunicator::gather_blocks(const Call& call, const Blocks& blocks) {
  const size_t element = call.header.element_bytes();
  void* const own = at(call.out, static_cast<size_t>(blocks.begin(rank())) * element);
  if (own != call.in) std::memcpy(own, call.in, call.header.bytes());
  const auto chunk = static_cast<int64_t>(kPieceBytes / element);
  const int64_t steps = steps_of(blocks, chunk);
  for (int64_t s = 0; s < steps + 1; ++s) {
    if (s < steps) post_gather(call, blocks, s, chunk);
    if (s >= 1) wait(gathering(s - 1), call.header);
  }
}

void WireCommunicator::broadcast_pieces(const Call& call) {
  const CallHeader& h = call.header;
  for (size_t begin = 0; begin < h.bytes(); begin += kPieceBytes) {
    const size_t bytes = std::min(kPieceBytes, h.bytes() - begin);
    if (h.root != rank()) {
      receive(gathering(0), WireTag::gather, h.root, at(call.out, begin), bytes);
    }
    for (int p = 0; p < size() && h.root == rank(); ++p) {
      if (p != rank()) send(gathering(0), WireTag::gather, p, at(call.in, begin), bytes);
    }
    wait(gathering(0), h);
  }
}

// ---- Exchange -----------------------------------------------------------------------------------

void WireCommunicator::execute_exchange(std::span<const Message> messages, int64_t sequence) {
  if (!failure_.empty()) throw Error(ErrorKind::peer, failure_);
  try {
    post_messages(messages);
    try {
      wait(WireBatch::exchange, "exchange",
           [&] { return fmt::format("exchange (call {})", sequence); });
    } catch (const Error&) {
      check_messages(messages, sequence);  // says more than the transport does, if this is why
      throw;
    }
    check_messages(messages, sequence);
  } catch (const Error& error) {
    failure_ = error.what();
    wire_->cancel();
    throw;
  }
}

// Headers travel ahead of the data, so that they are here when the data turns out not to fit.
void WireCommunicator::post_messages(std::span<const Message> messages) {
  message_headers_.assign(messages.size(), MessageHeader{});
  const auto post = [&](bool is_send, WireTag tag, int peer, void* data, size_t bytes) {
    if (is_send) return send(WireBatch::exchange, tag, peer, data, bytes);
    receive(WireBatch::exchange, tag, peer, data, bytes);
  };
  for (size_t i = 0; i < messages.size(); ++i) {
    const Message& m = messages[i];
    const bool is_send = m.kind == P2P::Kind::send;
    MessageHeader& header = message_headers_[i];
    if (is_send) header = {m.dtype, m.count};
    post(is_send, WireTag::message_header, m.peer, &header, sizeof header);
  }
  for (const Message& m : messages) {
    for (size_t begin = 0; begin < m.bytes(); begin += kPieceBytes) {
      post(m.kind == P2P::Kind::send, WireTag::message, m.peer, at(m.data, begin),
           std::min(kPieceBytes, m.bytes() - begin));
    }
  }
}

void WireCommunicator::check_messages(std::span<const Message> messages, int64_t sequence) const {
  for (size_t i = 0; i < messages.size(); ++i) {
    const Message& m = messages[i];
    const MessageHeader& h = message_headers_[i];
    if (m.kind == P2P::Kind::send || (h.dtype == m.dtype && h.count == m.count)) continue;
    fail(ErrorKind::peer, "exchange (call {}) on axis {}: {} sends {}[{}], {} receives {}[{}]",
         sequence, axis(), member(m.peer), name(h.dtype), h.count, member(rank()), name(m.dtype),
         m.count);
  }
}

// ---- Waiting ------------------------------------------------------------------------------------

template <typename What>
void WireCommunicator::wait(WireBatch batch, std::string_view op, const What& what) {
  patience_->wait([&](std::chrono::milliseconds time) { return wire_->wait(batch, time, op); },
                  [&] {
                    return fmt::format("{} on axis {}: {} waits for {}", what(), axis(),
                                       member(rank()), missing(batch));
                  });
}

std::string WireCommunicator::missing(WireBatch batch) const {
  std::string names;
  for (const int p : wire_->missing(batch)) names += (names.empty() ? "" : ", ") + member(p);
  return names;
}

std::string WireCommunicator::member(int rank) const {
  const int world_rank = world_ranks_[static_cast<size_t>(rank)];
  return world_rank == rank ? fmt::format("rank {}", rank)
                            : fmt::format("rank {} (world rank {})", rank, world_rank);
}

}  // namespace

std::unique_ptr<Communicator> make_wire_communicator(std::unique_ptr<Wire> wire, int rank,
                                                     std::vector<int> world_ranks,
                                                     const std::string& axis, size_t chunk_bytes,
                                                     std::shared_ptr<Patience> patience) {
  return std::make_unique<WireCommunicator>(std::move(wire), rank, std::move(world_ranks), axis,
                                            chunk_bytes, std::move(patience));
}

}  // namespace weft
