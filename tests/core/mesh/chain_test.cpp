#include "core/mesh/chain.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

using Place = Chain::Place;

TEST(Chain, GoesOnAtTheFirstStageInARing) {
  const Chain chain{.stages = 3, .chunks = 2};
  EXPECT_EQ(chain.parts(), 6);
  EXPECT_EQ(chain.place(2), (Place{2, 0}));
  EXPECT_EQ(chain.place(3), (Place{0, 1}));
  EXPECT_FALSE(chain.descends(1));
}

TEST(Chain, TurnsAtTheLastStageInAV) {
  const Chain chain{.stages = 3, .chunks = 3, .shape = ChainShape::v};
  EXPECT_EQ(chain.place(2), (Place{2, 0}));
  EXPECT_EQ(chain.place(3), (Place{2, 1}));
  EXPECT_EQ(chain.place(5), (Place{0, 1}));
  EXPECT_EQ(chain.place(6), (Place{0, 2}));
  EXPECT_TRUE(chain.descends(1));
  EXPECT_FALSE(chain.descends(2));
}

TEST(Chain, FindsEveryPartWhereItLies) {
  for (const ChainShape shape : {ChainShape::ring, ChainShape::v}) {
    for (int stages = 1; stages <= 5; ++stages) {
      for (int chunks = 1; chunks <= 4; ++chunks) {
        const Chain chain{stages, chunks, shape};
        for (int part = 0; part < chain.parts(); ++part) {
          EXPECT_EQ(chain.part(chain.place(part)), part);
        }
      }
    }
  }
}

}  // namespace
}  // namespace weft
