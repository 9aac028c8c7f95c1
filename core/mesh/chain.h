// Chain: how the parts of a model lie on the stages of a pipeline. The one place that says it:
// model partition (and through it checkpoints and plans), schedules and channels between stages
// read it.
//
//   ring   stage 0   parts 0 3        v   stage 0   parts 0 5
//          stage 1   parts 1 4            stage 1   parts 1 4
//          stage 2   parts 2 5            stage 2   parts 2 3
#pragma once

namespace weft {

// Where the chain of parts goes on after it has passed all stages.
enum class ChainShape {
  ring,  // at the first stage again (arXiv 2104.04473, section 2.2)
  v,     // at the last stage, back to the first (arXiv 2401.10241, section 6)
};

struct Chain {
  int stages = 1;
  int chunks = 1;  // parts on each stage
  ChainShape shape = ChainShape::ring;

  // A part as its stage knows it.
  struct Place {
    int stage = 0;
    int chunk = 0;
    bool operator==(const Place&) const = default;
  };

  int parts() const { return stages * chunks; }
  // Whether the parts of a chunk follow each other from the last stage to the first.
  bool descends(int chunk) const { return shape == ChainShape::v && chunk % 2 == 1; }
  Place place(int part) const {
    const int chunk = part / stages;
    return {across(part % stages, chunk), chunk};
  }
  int part(const Place& place) const {
    return place.chunk * stages + across(place.stage, place.chunk);
  }

 private:
  int across(int stage, int chunk) const { return descends(chunk) ? stages - 1 - stage : stage; }
};

}  // namespace weft
