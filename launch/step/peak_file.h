// PeakFile: the matrix-product peaks of this host that runs have measured, kept between runs. A
// measurement on a busy machine is too low and never too high, so the highest of all is the peak.
#pragma once

#include <string>

namespace weft {

class PeakFile {
 public:
  // Keeps them in `path`; empty for nowhere. Never fails: what cannot be read is not known, and
  // what cannot be written is measured again.
  explicit PeakFile(std::string path = default_path()) : path_(std::move(path)) {}

  // `peaks` in the cache folder (cache_folder.h); empty where the environment names none.
  static std::string default_path();

  // Operations per second; 0 where none is kept. A key is one line of text.
  double get(const std::string& key) const;
  // Keeps `flops_per_second` under `key` unless a higher one is there.
  void raise(const std::string& key, double flops_per_second) const;

 private:
  std::string path_;
};

}  // namespace weft
