// Wire: messages between the ranks of one group, on which WireCommunicator builds its collectives.
// A transport between processes is a Wire and a Bootstrap.
//
// Between two ranks, messages arrive in the order in which they were posted to leave, and receives
// match them in the order in which they were posted.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace weft {

// What a message is, so that ranks that do not agree about their calls do not take one for another.
enum class WireTag : int32_t { open = 1, reduce, gather, message_header, message };

// Messages that are waited for together.
enum class WireBatch {
  opening,
  reducing_even,
  reducing_odd,
  gathering_even,
  gathering_odd,
  exchange
};
constexpr size_t kWireBatches = 6;

class Wire {
 public:
  virtual ~Wire() = default;

  // Both post one message of a batch with rank `peer` of the group, whose memory stays as it is
  // until the batch is complete; a message may be shorter than its receiver expects. Throw
  // Error{peer} if the peer cannot be reached.
  virtual void send(WireBatch batch, WireTag tag, int peer, const void* data, size_t bytes) = 0;
  virtual void receive(WireBatch batch, WireTag tag, int peer, void* data, size_t bytes) = 0;

  // Drives all messages until those of `batch` are complete: true, or false once the deadline has
  // passed. Throws Error{peer}, with `what` in its text, when they cannot be.
  virtual bool wait(WireBatch batch, std::chrono::milliseconds deadline, std::string_view what) = 0;
  // Ranks of the group with which messages of `batch` are incomplete.
  virtual std::vector<int> missing(WireBatch batch) = 0;

  // Withdraws all that is not complete, so that its memory may be freed; nothing is posted after.
  virtual void cancel() = 0;
  // Ends the connections; called by all ranks together, or not at all after a failure.
  virtual void release() = 0;
};

}  // namespace weft
