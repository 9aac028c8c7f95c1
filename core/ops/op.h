// What all operations have in common. Each is a value, a struct of its tensors and numbers by name:
//
//   struct Fill {
//     static constexpr OpName kName{"fill", OpFamily::elementwise};
//     Tensor x;  // =
//     double value = 0;
//
//     void check() const;           // fails a WEFT_CHECK unless shapes and types fit (expect.h)
//     Cost cost() const;            // what the call has to compute or to move
//     SizeTensors sizes() const;    // those of its tensors that tell people how large it is
//   };
//
// Shapes and types are all that these read: the tensors of a planner have no memory. The structs
// lie in namespace weft::op, a header for each family; ops.h has the list of them and runs them.
#pragma once

#include <array>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/device/device.h"
#include "core/tensor/tensor.h"

namespace weft {

enum class OpFamily { matmul, attention, norm, embedding, loss, elementwise, optimizer };
constexpr std::array<std::string_view, 7> kOpFamilies{
    "matmul", "attention", "norm", "embedding", "loss", "elementwise", "optimizer"};
constexpr std::string_view name(OpFamily family) {
  return kOpFamilies[static_cast<size_t>(family)];
}

struct OpName {
  std::string_view text;
  OpFamily family;
};

struct Cost {
  // Of matrix products and attention: what the result is made of, without what is computed again or
  // hidden by the mask.
  double flops = 0;
  // Of all else: its tensors read and written, each once.
  double bytes = 0;
};
// Each of the tensors read or written once; one that is both stands there twice.
Cost moved(std::initializer_list<Tensor> tensors);

using SizeTensors = std::array<Tensor, 3>;  // the rest is empty

// A list of types.
template <typename... T>
struct Types {};

template <typename... Lists>
struct JoinTypes;
template <typename... T>
struct JoinTypes<Types<T...>> {
  using Result = Types<T...>;
};
template <typename... T, typename... U, typename... Rest>
struct JoinTypes<Types<T...>, Types<U...>, Rest...> : JoinTypes<Types<T..., U...>, Rest...> {};
template <typename... Lists>
using Joined = typename JoinTypes<Lists...>::Result;

template <typename T, typename List>
inline constexpr bool kIsIn = false;
template <typename T, typename... All>
inline constexpr bool kIsIn<T, Types<All...>> = (std::is_same_v<T, All> || ...);
template <typename T, typename List>
concept In = kIsIn<T, List>;

// A call as observers see it.
struct OpCall {
  std::string_view name;
  OpFamily family;
  SizeTensors tensors;
  Cost cost;
};
// The tensors of a call, for people.
std::string shapes_of(const OpCall& call);

class OpObserver {
 public:
  virtual ~OpObserver() = default;
  virtual void before(const OpCall& call, Stream& stream) = 0;
  virtual void after(const OpCall& call, Stream& stream) = 0;
};

}  // namespace weft
