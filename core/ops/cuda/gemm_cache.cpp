// The file is text: a line that names the machine, then one line per product,
//   m n k b_stride c_stride transpose_a transpose_b type c_type epilogue accumulate alignment
//   workspace us algorithm...
#include "core/ops/cuda/gemm_cache.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/base/error.h"

namespace weft {
namespace {

constexpr const char* kTitle = "weft matmul cache 2, ";

std::string file_name(const std::string& machine) {
  std::string name = "matmul-";
  for (const char c : machine) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (plain || name.back() != '-') name += plain ? c : '-';
  }
  return name + ".txt";
}

std::string to_line(const GemmKey& key, const GemmChoice& choice) {
  std::string line = fmt::format(
      "{} {} {} {} {} {:d} {:d} {} {} {} {:d} {} {} {:.3f}", key.m, key.n, key.k, key.b_stride,
      key.c_stride, key.transpose_a, key.transpose_b, name(key.type), name(key.c_type),
      key.epilogue, key.accumulate, key.alignment, choice.workspace_bytes, choice.microseconds);
  for (const uint64_t word : choice.algorithm) line += fmt::format(" {:x}", word);
  return line;
}

// Whether `line` is a product; then it is stored.
bool from_line(const std::string& line, GemmKey& key, GemmChoice& choice) {
  std::istringstream in(line);
  std::string type, c_type, rest;
  in >> key.m >> key.n >> key.k >> key.b_stride >> key.c_stride >> key.transpose_a >>
      key.transpose_b >> type >> c_type >> key.epilogue >> key.accumulate >> key.alignment >>
      choice.workspace_bytes >> choice.microseconds >> std::hex;
  for (uint64_t& word : choice.algorithm) in >> word;
  if (in.fail() || in >> rest) return false;
  try {
    key.type = parse_dtype(type);
    key.c_type = parse_dtype(c_type);
  } catch (const Error&) {
    return false;
  }
  return true;
}

}  // namespace

GemmCache::GemmCache(std::string folder, std::string machine) : machine_(std::move(machine)) {
  if (folder.empty()) return;
  path_ = folder + "/" + file_name(machine_);
  read();
}

void GemmCache::read() {
  std::ifstream file(path_);
  if (!file) return;
  std::string line;
  std::getline(file, line);
  if (line != kTitle + machine_) {
    fail(ErrorKind::input, "{}:1: this is no matmul cache for {}; delete the file", path_,
         machine_);
  }
  for (int number = 2; std::getline(file, line); ++number) {
    GemmKey key;
    GemmChoice choice;
    if (!from_line(line, key, choice)) {
      fail(ErrorKind::input, "{}:{}: this line is no product of a matmul cache; delete the file",
           path_, number);
    }
    choices_.emplace(key, choice);  // what this process has chosen stays
  }
}

const GemmChoice* GemmCache::find(const GemmKey& key) const {
  const auto found = choices_.find(key);
  return found == choices_.end() ? nullptr : &found->second;
}

void GemmCache::save() {
  if (path_.empty()) return;
  read();
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), error);
  const std::string beside = fmt::format("{}.{}", path_, getpid());
  std::ofstream file(beside, std::ios::trunc);
  file << kTitle << machine_ << "\n";
  for (const auto& [key, choice] : choices_) file << to_line(key, choice) << "\n";
  file.close();
  if (!file) fail(ErrorKind::io, "cannot write {} ({})", beside, std::strerror(errno));
  std::filesystem::rename(beside, path_, error);
  if (error) fail(ErrorKind::io, "cannot rename {} to {} ({})", beside, path_, error.message());
}

}  // namespace weft
