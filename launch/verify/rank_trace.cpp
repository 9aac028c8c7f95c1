#include "launch/verify/rank_trace.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>

#include "core/base/error.h"

namespace weft {
namespace {

// Plain values one after the other; sequences after their length.
class Writer {
 public:
  template <typename T>
  requires std::is_trivially_copyable_v<T>
  void put(const T& value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  template <typename T>
  void put_all(const T& sequence) {
    put(sequence.size());
    const auto* data = reinterpret_cast<const char*>(sequence.data());
    bytes_.append(data, sequence.size() * sizeof sequence[0]);
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class TraceReader {
 public:
  explicit TraceReader(std::string_view bytes) : bytes_(bytes) {}

  template <typename T>
  T get() {
    T value;
    copy(&value, sizeof value);
    return value;
  }
  template <typename T>
  T get_all() {
    T sequence(get<size_t>(), {});
    copy(sequence.data(), sequence.size() * sizeof sequence[0]);
    return sequence;
  }

 private:
  void copy(void* to, size_t bytes) {
    WEFT_CHECK(bytes <= bytes_.size(), "a trace ends early");
    if (bytes > 0) std::memcpy(to, bytes_.data(), bytes);
    bytes_.remove_prefix(bytes);
  }
  std::string_view bytes_;
};

constexpr std::array kPieces{&RankTrace::initial, &RankTrace::gradients, &RankTrace::trained,
                             &RankTrace::moments};

void put(Writer& out, const Piece& piece) {
  out.put_all(piece.region.tensor);
  out.put(piece.region.tensor_shape);
  out.put(piece.region.offset);
  out.put(piece.region.extent);
  out.put(piece.region.local_begin);
  out.put(piece.owner);
  out.put_all(piece.values);
}

Piece get_piece(TraceReader& in) {
  Piece piece;
  piece.region.tensor = in.get_all<std::string>();
  piece.region.tensor_shape = in.get<Shape>();
  piece.region.offset = in.get<Shape>();
  piece.region.extent = in.get<Shape>();
  piece.region.local_begin = in.get<int64_t>();
  piece.owner = in.get<bool>();
  piece.values = in.get_all<Values>();
  return piece;
}

// Calls visit(whole element, piece element) for the elements of a piece.
template <typename Visit>
void for_each_element(const Piece& piece, Values& whole, const Visit& visit) {
  const Region& r = piece.region;
  const bool matrix = r.extent.rank() == 2;
  const int64_t rows = matrix ? r.extent[0] : 1;
  const int64_t columns = r.extent.back();
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t at = matrix ? (r.offset[0] + i) * r.tensor_shape[1] + r.offset[1] : r.offset[0];
    for (int64_t j = 0; j < columns; ++j) {
      visit(whole[static_cast<size_t>(at + j)], piece.values[static_cast<size_t>(i * columns + j)]);
    }
  }
}

// Whole tensors from their owners; every replica must have the owner's bits.
LogicalTensors assemble(const std::vector<RankTrace>& ranks, std::vector<Piece> RankTrace::*member,
                        const char* what, std::vector<std::string>& disagreements) {
  LogicalTensors whole;
  for (const RankTrace& rank : ranks) {
    for (const Piece& piece : rank.*member) {
      Values& values = whole[piece.region.tensor];
      values.resize(static_cast<size_t>(piece.region.tensor_shape.elements()));
      if (piece.owner) for_each_element(piece, values, [](float& w, float v) { w = v; });
    }
  }
  for (size_t r = 0; r < ranks.size(); ++r) {
    for (const Piece& piece : ranks[r].*member) {
      bool same = true;
      for_each_element(piece, whole[piece.region.tensor], [&](const float& w, float v) {
        same = same && std::memcmp(&w, &v, sizeof v) == 0;
      });
      if (!same) {
        disagreements.push_back(
            fmt::format("rank {}'s replica of the {} {}", r, what, piece.region.tensor));
      }
    }
  }
  return whole;
}

}  // namespace

std::string to_bytes(const RankTrace& trace) {
  Writer out;
  for (const auto member : kPieces) {
    out.put((trace.*member).size());
    for (const Piece& piece : trace.*member) put(out, piece);
  }
  out.put_all(trace.losses);
  out.put_all(trace.grad_norms);
  out.put(trace.calls.size());
  for (const auto& [family, counts] : trace.calls) {
    out.put_all(family);
    out.put(counts);
  }
  return out.take();
}

RankTrace rank_trace_of(const std::string& bytes) {
  TraceReader in(bytes);
  RankTrace trace;
  for (const auto member : kPieces) {
    const auto count = in.get<size_t>();
    for (size_t i = 0; i < count; ++i) (trace.*member).push_back(get_piece(in));
  }
  trace.losses = in.get_all<std::vector<double>>();
  trace.grad_norms = in.get_all<std::vector<double>>();
  const auto families = in.get<size_t>();
  for (size_t i = 0; i < families; ++i) {
    auto family = in.get_all<std::string>();
    trace.calls[std::move(family)] = in.get<CallCounts::mapped_type>();
  }
  return trace;
}

LayoutTrace assemble(const std::vector<RankTrace>& ranks) {
  LayoutTrace trace;
  std::vector<std::string>& faults = trace.disagreements;
  trace.initial = assemble(ranks, &RankTrace::initial, "initial", faults);
  trace.gradients = assemble(ranks, &RankTrace::gradients, "gradient of", faults);
  trace.trained = assemble(ranks, &RankTrace::trained, "trained", faults);
  trace.moments = assemble(ranks, &RankTrace::moments, "first moment of", faults);
  trace.losses = ranks.front().losses;
  trace.grad_norms = ranks.front().grad_norms;
  for (size_t r = 1; r < ranks.size(); ++r) {
    if (ranks[r].losses != trace.losses) faults.push_back(fmt::format("rank {}'s losses", r));
    if (ranks[r].grad_norms != trace.grad_norms) {
      faults.push_back(fmt::format("rank {}'s gradient norms", r));
    }
  }
  for (const RankTrace& rank : ranks) trace.calls.insert(rank.calls.begin(), rank.calls.end());
  return trace;
}

}  // namespace weft
