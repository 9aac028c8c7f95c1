// In which order the stages compute: the schedules proper, pure functions of three numbers that
// leave transfers out.
//
// Every order computes the gradients of one weight in the order of the micro-batches, so that they
// sum to the same bits. Sources: GPipe, arXiv 1811.06965; 1F1B and interleaved 1F1B, 2104.04473;
// ZB-H1 and ZB-V, 2401.10241.
#pragma once

#include <vector>

#include "parallel/pipeline/schedule.h"

namespace weft {

struct PipelineShape {
  int stages = 1;
  int microbatches = 1;
  int chunks = 1;
};

// Computations of each stage.
using StageOrders = std::vector<std::vector<Step>>;
using MakeOrders = StageOrders(const PipelineShape&);

MakeOrders gpipe_orders;
MakeOrders one_f_one_b_orders;
MakeOrders interleaved_orders;
MakeOrders zero_bubble_h1_orders;
MakeOrders zero_bubble_v_orders;

// Forwards alone, of any number of micro-batches.
StageOrders forward_orders(const Chain& chain, int microbatches);

}  // namespace weft
