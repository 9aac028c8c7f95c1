#include "core/mesh/placement.h"

#include <algorithm>
#include <numeric>

#include "core/base/error.h"

namespace weft {
namespace {

struct Range {
  int64_t begin, end;
};

// The share of a segment of `size` elements that rank `index` of `count` holds.
Range share(int64_t size, int64_t unit, int index, int count) {
  const int64_t units = (size + unit - 1) / unit;
  const int64_t each = (units + count - 1) / count * unit;
  return {std::min(size, each * index), std::min(size, each * (index + 1))};
}

const Split* split_of(const ParamSpec& spec, int dim) {
  for (const Split& s : spec.place.splits) {
    if (s.dim == dim) return &s;
  }
  return nullptr;
}

// The ranges of dim `dim` that a rank holds, in the order of its memory.
std::vector<Range> held(const ParamSpec& spec, int dim, const MeshShape& mesh,
                        const MeshCoord& coord) {
  const int64_t size = spec.shape[dim];
  const Split* split = split_of(spec, dim);
  if (split == nullptr) return {{0, size}};
  std::vector<int64_t> segments = split->segments;
  if (segments.empty()) segments.push_back(size);
  WEFT_CHECK(std::accumulate(segments.begin(), segments.end(), int64_t{0}) == size,
             "segments of {} do not add up to {}", spec.name, size);
  std::vector<Range> ranges;
  int64_t begin = 0;
  for (const int64_t segment : segments) {
    const Range r = share(segment, split->unit, coord.index(split->axis), mesh.extent(split->axis));
    ranges.push_back({begin + r.begin, begin + r.end});
    begin += segment;
  }
  return ranges;
}

int64_t total(const std::vector<Range>& ranges) {
  int64_t sum = 0;
  for (const Range& r : ranges) sum += r.end - r.begin;
  return sum;
}

}  // namespace

Placement placement(Cut cut, std::vector<int64_t> segments, int64_t unit) {
  switch (cut) {
    case Cut::none:
      return {};
    case Cut::none_of_shared_rows:
      return {.splits = {}, .grad_partial = {Axis::tp}};
    case Cut::in:
      return {.splits = {{Axis::tp, 1, {}, unit}}, .grad_partial = {}};
    case Cut::out:
    case Cut::rows:
      break;
  }
  return {.splits = {{Axis::tp, 0, std::move(segments), unit}}, .grad_partial = {}};
}

std::vector<Part> parts_of(const ParamSpec& spec) {
  if (!spec.parts.empty()) return spec.parts;
  return {{spec.name, spec.shape[0]}};
}

int64_t elements(std::span<const ParamSpec> specs) {
  return std::accumulate(specs.begin(), specs.end(), int64_t{0},
                         [](int64_t sum, const ParamSpec& s) { return sum + elements(s); });
}

Shape local_shape(const ParamSpec& spec, const MeshShape& mesh, const MeshCoord& coord) {
  Shape shape = spec.shape;
  for (int d = 0; d < shape.rank(); ++d) shape[d] = total(held(spec, d, mesh, coord));
  return shape;
}

std::vector<Region> regions(const ParamSpec& spec, const MeshShape& mesh, const MeshCoord& coord) {
  if (!is_on_stage(spec, coord.pp)) return {};
  const Shape local = local_shape(spec, mesh, coord);
  const int64_t row = local[0] == 0 ? 0 : local.elements() / local[0];
  // Dims after the first are held as one range each: only rows are fused of segments.
  Shape inner_begin = spec.shape;
  for (int d = 1; d < spec.shape.rank(); ++d) {
    const std::vector<Range> r = held(spec, d, mesh, coord);
    WEFT_CHECK(r.size() == 1, "{}: only dim 0 may consist of segments", spec.name);
    inner_begin[d] = r[0].begin;
  }
  std::vector<Region> out;
  int64_t local_row = 0;
  for (const Range& range : held(spec, 0, mesh, coord)) {
    int64_t part_begin = 0;
    for (const Part& part : parts_of(spec)) {
      const int64_t begin = std::max(range.begin, part_begin);
      const int64_t end = std::min(range.end, part_begin + part.rows);
      if (begin < end && row > 0) {
        Region region{part.name, spec.shape, inner_begin, local,
                      (local_row + begin - range.begin) * row};
        region.tensor_shape[0] = part.rows;
        region.offset[0] = begin - part_begin;
        region.extent[0] = end - begin;
        out.push_back(region);
      }
      part_begin += part.rows;
    }
    local_row += range.end - range.begin;
  }
  return out;
}

std::vector<Region> clip(const std::vector<Region>& regions, ElementRange range) {
  std::vector<Region> out;
  for (const Region& r : regions) {
    const int64_t columns = r.extent[0] == 0 ? 1 : r.extent.elements() / r.extent[0];
    const int64_t begin = std::max(range.begin - r.local_begin, int64_t{0});
    const int64_t end = std::min(range.end - r.local_begin, r.extent.elements());
    if (begin >= end) continue;
    // Elements [from, to) of the region, all in one row or full rows.
    const auto add = [&](int64_t from, int64_t to) {
      if (from >= to) return;
      Region piece = r;
      piece.local_begin += from;
      piece.offset[0] += from / columns;
      piece.extent[0] = std::max((to - from) / columns, int64_t{1});
      if ((to - from) % columns != 0) {
        WEFT_CHECK(r.extent.rank() == 2, "{}: a row of a rank-{} tensor is cut", r.tensor,
                   r.extent.rank());
        piece.offset[1] += from % columns;
        piece.extent[1] = to - from;
      }
      out.push_back(std::move(piece));
    };
    const int64_t first_row_end = (begin + columns - 1) / columns * columns;
    const int64_t last_row_begin = end / columns * columns;
    if (begin % columns != 0 && first_row_end > end) {
      add(begin, end);
      continue;
    }
    add(begin, first_row_end);
    add(first_row_end, last_row_begin);
    add(std::max(first_row_end, last_row_begin), end);
  }
  return out;
}

bool is_owner(const ParamSpec& spec, const MeshCoord& coord, AxisSet axes) {
  return std::ranges::all_of(kAxes, [&](const AxisInfo& a) {
    if (!axes.contains(a.axis) || is_split(spec, a.axis)) return true;
    const bool staged = a.axis == Axis::pp && !spec.stages.empty();
    return coord.index(a.axis) == (staged ? spec.stages.front() : 0);
  });
}

bool is_on_stage(const ParamSpec& spec, int stage) {
  return spec.stages.empty() ||
         std::find(spec.stages.begin(), spec.stages.end(), stage) != spec.stages.end();
}

bool is_split(const ParamSpec& spec, Axis axis) {
  return std::any_of(spec.place.splits.begin(), spec.place.splits.end(),
                     [axis](const Split& s) { return s.axis == axis; });
}

AxisSet replica_axes(const ParamSpec& spec) {
  AxisSet axes = data_axes();
  for (const Split& s : spec.place.splits) axes = axes - AxisSet{s.axis};
  return axes;
}

}  // namespace weft
