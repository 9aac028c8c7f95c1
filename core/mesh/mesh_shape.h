// The mesh as plain values: axes, extents, and where a rank lies. Which axes there are, in which
// order ranks are numbered, and what an axis shares out is said here alone.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace weft {

enum class Axis { dp, cp, tp, pp };

struct MeshShape {
  int dp = 1, cp = 1, tp = 1, pp = 1;

  bool operator==(const MeshShape&) const = default;
  int extent(Axis axis) const;
  int size(class AxisSet axes) const;  // ranks that differ on these axes alone
  int world() const;
};

struct MeshCoord {
  int dp = 0, cp = 0, tp = 0, pp = 0;

  bool operator==(const MeshCoord&) const = default;
  int index(Axis axis) const;
};

// The table of axes.
struct AxisInfo {
  Axis axis;
  std::string_view name;
  std::string_view title;  // for people
  bool data;    // its ranks see other tokens, and hold the same of what the axis does not cut
  bool layers;  // its ranks talk within layers
  int MeshShape::*extent;
  int MeshCoord::*index;
};
inline constexpr std::array kAxes{
    AxisInfo{Axis::dp, "dp", "data parallel", true, false, &MeshShape::dp, &MeshCoord::dp},
    AxisInfo{Axis::cp, "cp", "context parallel", true, true, &MeshShape::cp, &MeshCoord::cp},
    AxisInfo{Axis::tp, "tp", "tensor parallel", false, true, &MeshShape::tp, &MeshCoord::tp},
    AxisInfo{Axis::pp, "pp", "pipeline", false, false, &MeshShape::pp, &MeshCoord::pp}};
// Ranks are numbered with tp fastest, then cp, then dp, pp slowest: those that talk most are
// neighbours.
inline constexpr std::array kSlowestFirst{Axis::pp, Axis::dp, Axis::cp, Axis::tp};
static_assert(kSlowestFirst.size() == kAxes.size());

constexpr const AxisInfo& info(Axis axis) { return kAxes[static_cast<size_t>(axis)]; }
constexpr std::string_view name(Axis axis) { return info(axis).name; }

inline int MeshShape::extent(Axis axis) const { return this->*info(axis).extent; }
inline int MeshCoord::index(Axis axis) const { return this->*info(axis).index; }

// A set of axes, e.g. the axes over which a gradient is summed.
class AxisSet {
 public:
  constexpr AxisSet() = default;
  constexpr AxisSet(std::initializer_list<Axis> axes) {
    for (const Axis a : axes) bits_ |= bit(a);
  }
  constexpr bool contains(Axis a) const { return (bits_ & bit(a)) != 0; }
  constexpr AxisSet operator|(AxisSet other) const { return AxisSet(bits_ | other.bits_); }
  constexpr AxisSet operator-(AxisSet other) const { return AxisSet(bits_ & ~other.bits_); }
  constexpr bool operator==(const AxisSet&) const = default;

 private:
  constexpr explicit AxisSet(unsigned bits) : bits_(bits) {}
  static constexpr unsigned bit(Axis a) { return 1u << static_cast<unsigned>(a); }

  unsigned bits_ = 0;
};

constexpr AxisSet every_axis() {
  AxisSet all;
  for (const AxisInfo& a : kAxes) all = all | AxisSet{a.axis};
  return all;
}
// The axes whose ranks see other tokens.
constexpr AxisSet data_axes() {
  AxisSet all;
  for (const AxisInfo& a : kAxes) {
    if (a.data) all = all | AxisSet{a.axis};
  }
  return all;
}

// "dp+cp".
std::string to_string(AxisSet axes);

// One value for each axis.
template <typename T>
struct PerAxis {
  std::array<T, kAxes.size()> values{};

  T& operator[](Axis axis) { return values[static_cast<size_t>(axis)]; }
  const T& operator[](Axis axis) const { return values[static_cast<size_t>(axis)]; }
};

MeshCoord coord_of(int rank, const MeshShape& shape);         // rank in [0, shape.world())
int rank_of(const MeshCoord& coord, const MeshShape& shape);  // inverse of coord_of

// The number of the rank at `coord` among those that differ from it on `axes` alone, in world
// order.
int index_in(AxisSet axes, const MeshCoord& coord, const MeshShape& shape);

}  // namespace weft
