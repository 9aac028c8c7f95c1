// Muon (Jordan et al. 2024): momentum, made orthogonal.
//
//   m = momentum m + (1 - momentum) g;  u = nesterov ? (1 - momentum) g + momentum m : m
//   X = u / |u|;  five times  X = (a I + b S + c S S) X  with S = X X^T   (Newton-Schulz)
//   w = (1 - lr weight_decay) w - lr scale X
//
// of every matrix in the logical sense: q, k and v apart, though they are one parameter in memory.
// Everything after the momentum is computed in the type of the weights that are computed with,
// products summed in f32. S is formed on the side of the matrix that tensor parallelism does not
// cut, so that each rank keeps its part of X, and S is what they sum; where nothing is cut, on the
// shorter side. Whoever updates a matrix needs all that its tensor-parallel rank has of it, so that
// ZeRO's borders fall between matrices.
#pragma once

#include <array>
#include <vector>

#include "optim/optimizer.h"

namespace weft {

class Muon final : public Optimizer {
 public:
  static constexpr int kIterations = 5;
  static constexpr std::array<double, 3> kCoefficients{3.4445, -4.7750, 2.0315};
  static constexpr double kEps = 1e-7;  // least norm that u is divided by

  // Whether a parameter is for Muon: matrices between activations, no table of tokens.
  static bool takes(const ParamSpec& spec) { return spec.shape.rank() == 2 && !spec.table; }
  // What an update of a matrix is multiplied with.
  static double scale(OptimizerConfig::UpdateScale rule, const Shape& matrix);

  Muon(const OptimizerConfig& config, uint64_t seed, const ParameterSet& parameters,
       Members members)
      : config_(config), seed_(seed), parameters_(parameters), members_(std::move(members)) {}

  void allocate(Arena& states, Arena& work) override;
  void step(const UpdateInputs& inputs, Ops& ops, Stream& stream,
            UpdateListener* listener) override;
  std::span<const StateTensor> states(const Parameter& member) const override {
    return {&states_[member.index], 1};
  }
  Grain grain(const ParamSpec&) const override { return Grain::whole; }

 private:
  // This rank's part of a matrix, and what becomes of its gradient.
  struct Matrix {
    int64_t rows, columns;
    bool of_rows;           // whether S is X X^T, [rows,rows]; else X^T X, [columns,columns]
    int64_t ranks, blocks;  // that have parts, 1 or tp; most blocks of squares that one has
    Tensor direction;       // u, where the gradient was
    DescentTensor descent;
    int64_t side() const { return of_rows ? rows : columns; }
  };
  struct Unit {
    Members members;
    std::vector<MomentumTensor> momenta;
    std::vector<Matrix> matrices;
    bool stochastic = false;
  };
  struct Work {
    Tensor x, y;             // of T, as many elements as the largest matrix has
    Tensor gram, factor;     // of T, S and the polynomial of it
    Tensor square, squares;  // of A, S S; f64, sums of squares of u
  };

  void add(Parameter& member, Unit& unit) const;
  void allocate_work(Arena& work);
  void normalize(const Matrix& matrix, Communicator* tensor, const Tensor& to, Ops& ops,
                 Stream& stream) const;
  Tensor orthogonalize(const Matrix& matrix, Communicator* tensor, Ops& ops, Stream& stream) const;

  OptimizerConfig config_;
  uint64_t seed_;
  const ParameterSet& parameters_;
  Members members_;
  std::vector<StateTensor> states_;  // by parameter
  std::vector<Unit> units_;
  Work work_;
};

}  // namespace weft
