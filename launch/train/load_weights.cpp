#include "launch/train/load_weights.h"

#include <algorithm>
#include <set>

#include "core/base/error.h"
#include "core/base/glob.h"
#include "core/checkpoint/manifest.h"
#include "core/mesh/placement.h"
#include "core/model/gpt_specs.h"
#include "launch/config/load.h"
#include "launch/step/run_state.h"

namespace weft {
namespace {

constexpr char kWeightKind[] = "weight";

bool has_vocabulary_rows(const std::string& tensor) {
  return tensor == "wte.weight" || tensor == "lm_head.weight";
}

// Whether `stored` has the same columns and fewer rows than the model's table.
bool is_shorter(const Shape& stored, const Shape& table) {
  return stored.rank() == 2 && table.rank() == 2 && stored[1] == table[1] && stored[0] < table[0];
}

void require_tensor(const CheckpointReader& reader, const LoadConfig& load, const std::string& name,
                    const Shape& shape) {
  const std::optional<TensorInfo> info = reader.find(name, kWeightKind);
  if (!info) {
    fail(
        ErrorKind::input,
        "{} has no tensor {}, which the model needs; name it in load.skip to draw it anew, or make "
        "the model the checkpoint's",
        reader.path(), name);
  }
  if (info->dtype != DType::f32) {
    fail(ErrorKind::input, "{}: {} is {}; weights are loaded from f32 only", reader.path(), name,
         weft::name(info->dtype));
  }
  if (info->global_shape == shape) return;
  if (has_vocabulary_rows(name) && is_shorter(info->global_shape, shape)) {
    if (load.vocabulary == LoadConfig::Vocabulary::grow) return;
    fail(ErrorKind::input,
         "{}: {} is {}, the model needs {}; set load.vocabulary to grow to draw the {} new rows",
         reader.path(), name, to_string(info->global_shape), to_string(shape),
         shape[0] - info->global_shape[0]);
  }
  fail(ErrorKind::input,
       "{}: {} is {}, the model needs {}; make the model the checkpoint's, or name the tensor in "
       "load.skip to draw it anew",
       reader.path(), name, to_string(info->global_shape), to_string(shape));
}

// A checkpoint tensor without a place in the model would be dropped without a word.
void require_no_others(const CheckpointReader& reader, const LoadConfig& load,
                       const std::set<std::string>& known) {
  for (const TensorInfo& t : reader.tensors()) {
    if (t.kind != kWeightKind || known.contains(t.name) || matches_any(load.skip, t.name)) continue;
    fail(ErrorKind::input,
         "{} has a tensor {} that the model has no place for; name it in load.skip to leave it out",
         reader.path(), t.name);
  }
}

// Equal shapes may mean different functions.
void require_attached_meaning(const CheckpointReader& reader, const RunConfig& config) {
  const auto& files = reader.manifest().attached;
  const bool has_config = std::any_of(files.begin(), files.end(), [](const StoredFile& file) {
    return file.name == kAttachedConfig;
  });
  if (!has_config) return;
  require_same_meaning(attached_config(reader), config, reader.path());
}

}  // namespace

void require_weights(const CheckpointReader& reader, const RunConfig& config) {
  require_attached_meaning(reader, config);
  std::set<std::string> known;
  for (const ParamSpec& spec : gpt_specs(config.model)) {
    for (const Region& r : regions(spec, {}, {})) {
      known.insert(r.tensor);
      if (!matches_any(config.load.skip, r.tensor)) {
        require_tensor(reader, config.load, r.tensor, r.tensor_shape);
      }
    }
  }
  require_no_others(reader, config.load, known);
}

void load_weights(const CheckpointReader& reader, const LoadConfig& load, ParameterSet& parameters,
                  Device& device, Stream& stream) {
  std::vector<char> staging;
  for (const auto& p : parameters) {
    const ParameterSet::Values kept = parameters.kept_values(*p);
    const std::vector<Region> held = regions(p->spec, parameters.mesh(), parameters.coord());
    for (const Region& r : clip(held, kept.range)) {
      if (matches_any(load.skip, r.tensor)) continue;
      const Shape stored = reader.find(r.tensor, kWeightKind)->global_shape;
      // The rows there are, which come first in the memory of the region.
      const std::optional<Box> box = intersection({r.offset, r.extent}, whole(stored));
      if (!box) continue;
      const int64_t begin = r.local_begin - kept.range.begin;
      const Tensor target = kept.elements.slice(begin, begin + box->elements());
      staging.resize(target.bytes());
      reader.read(r.tensor, kWeightKind, *box, staging.data());
      device.copy_to_device(target.raw(), staging.data(), target.bytes(), stream);
      stream.synchronize();
    }
  }
}

}  // namespace weft
