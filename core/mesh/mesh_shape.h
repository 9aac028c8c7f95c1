// The mesh as plain values: axes, extents, and where a rank lies. Ranks are numbered with tp
// fastest, then cp, then dp, pp slowest: the ranks that talk most are neighbours.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace weft {

enum class Axis { dp, cp, tp, pp };
constexpr int kAxes = 4;

std::string_view name(Axis axis);

// A set of axes, e.g. the axes over which a gradient is summed.
class AxisSet {
 public:
  constexpr AxisSet() = default;
  constexpr AxisSet(std::initializer_list<Axis> axes) {
    for (const Axis a : axes) bits_ |= 1u << static_cast<unsigned>(a);
  }
  constexpr bool contains(Axis a) const { return (bits_ >> static_cast<unsigned>(a) & 1u) != 0; }
  constexpr AxisSet operator|(AxisSet other) const {
    other.bits_ |= bits_;
    return other;
  }
  constexpr bool operator==(const AxisSet&) const = default;

 private:
  unsigned bits_ = 0;
};

struct MeshShape {
  int dp = 1, cp = 1, tp = 1, pp = 1;

  int world() const { return dp * cp * tp * pp; }
  int extent(Axis axis) const;
  bool operator==(const MeshShape&) const = default;
};

struct MeshCoord {
  int dp = 0, cp = 0, tp = 0, pp = 0;

  int index(Axis axis) const;
  bool operator==(const MeshCoord&) const = default;
};

MeshCoord coord_of(int rank, const MeshShape& shape);         // rank in [0, shape.world())
int rank_of(const MeshCoord& coord, const MeshShape& shape);  // inverse of coord_of

}  // namespace weft
