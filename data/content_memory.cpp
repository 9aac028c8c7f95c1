#include "data/content_memory.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/json_text.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr int kMemoryVersion = 1;
constexpr char kExtension[] = ".content";
constexpr char kAside[] = ".tmp";
constexpr size_t kMostFiles = 1024;  // of the folder; the oldest make room

// The first line of an entry: which file it is about, and what is known but the documents.
std::string head_of(const InputFile& file, std::string_view kind, const FileStamp& stamp,
                    const FileContent& content) {
  std::error_code error;
  nlohmann::ordered_json json{{"version", kMemoryVersion},
                              {"path", fs::absolute(file.path(), error).string()},
                              {"kind", kind},
                              {"bytes", stamp.bytes},
                              {"inode", stamp.inode},
                              {"modified_ns", stamp.modified_ns},
                              {"changed_ns", stamp.changed_ns},
                              {"digest", content.digest},
                              {"largest_id", content.largest.id},
                              {"largest_position", content.largest.position},
                              {"documents", content.documents.size()}};
  return json_text(json) + "\n";
}

// The line, the documents as int64, and the digest of all that.
std::string encode(const std::string& head, const FileContent& content) {
  std::string bytes = head;
  bytes.append(reinterpret_cast<const char*>(content.documents.data()),
               content.documents.size() * sizeof(int64_t));
  return bytes + to_string(digest_of(bytes));
}

// Nothing where it is no entry that encode() made.
std::optional<FileContent> decode(std::string_view bytes) {
  if (bytes.size() < kDigestDigits) return std::nullopt;
  const std::string_view digest = bytes.substr(bytes.size() - kDigestDigits);
  bytes.remove_suffix(kDigestDigits);
  if (to_string(digest_of(bytes)) != digest) return std::nullopt;
  const size_t end = bytes.find('\n');
  try {
    const auto json = parse_json(bytes.substr(0, end));
    FileContent content;
    json.at("digest").get_to(content.digest);
    json.at("largest_id").get_to(content.largest.id);
    json.at("largest_position").get_to(content.largest.position);
    bytes.remove_prefix(end + 1);
    content.documents.resize(json.at("documents").get<size_t>());
    if (bytes.size() != content.documents.size() * sizeof(int64_t)) return std::nullopt;
    if (!bytes.empty()) std::memcpy(content.documents.data(), bytes.data(), bytes.size());
    return content;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

// Names in the folder are of our own making; what else lies there is left alone.
void make_room(const fs::path& directory) {
  std::error_code error;
  std::vector<std::pair<fs::file_time_type, fs::path>> entries;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const fs::path extension = it->path().extension();
    if (extension != kExtension && extension != kAside) continue;
    std::error_code gone;
    entries.emplace_back(it->last_write_time(gone), it->path());
  }
  if (entries.size() < kMostFiles) return;
  std::sort(entries.begin(), entries.end());
  for (size_t i = 0; i + kMostFiles / 2 < entries.size(); ++i) fs::remove(entries[i].second, error);
}

}  // namespace

std::string ContentMemory::place(const InputFile& file, std::string_view kind) const {
  std::error_code error;
  const fs::path path = fs::absolute(file.path(), error);
  const Digest digest = digest_of(fmt::format("{}\n{}", kind, path.string()));
  return directory_ + "/" + to_string(digest) + kExtension;
}

std::optional<FileContent> ContentMemory::find(const InputFile& file, std::string_view kind) const {
  std::ifstream in(place(file, kind), std::ios::binary);
  if (!in) return std::nullopt;
  const std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const std::optional<FileContent> content = decode(bytes);
  if (!content || !bytes.starts_with(head_of(file, kind, file.stamp(), *content))) {
    return std::nullopt;
  }
  return content;
}

std::string ContentMemory::keep(const InputFile& file, std::string_view kind,
                                const FileStamp& stamp, const FileContent& content) const {
  using namespace std::chrono;
  const int64_t now = duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count();
  // Whole seconds are what file systems keep that know no finer time.
  const bool coarse = stamp.changed_ns % 1'000'000'000 == 0;
  const int64_t settling = coarse ? std::max<int64_t>(settling_ns_, 2'000'000'000) : settling_ns_;
  if (file.stamp() != stamp || now - stamp.changed_ns < settling) return "";
  std::error_code error;
  fs::create_directories(directory_, error);
  if (error) return fmt::format("{}: {}", directory_, error.message());
  make_room(directory_);
  const std::string path = place(file, kind);
  // Ranks may be threads of one process.
  const size_t thread = std::hash<std::thread::id>()(std::this_thread::get_id());
  const std::string aside = fmt::format("{}.{}-{:x}{}", path, ::getpid(), thread, kAside);
  {
    std::ofstream out(aside, std::ios::binary | std::ios::trunc);
    out << encode(head_of(file, kind, stamp, content), content);
    out.close();
    if (!out) {
      const std::string why = std::strerror(errno);
      fs::remove(aside, error);
      return fmt::format("{}: {}", aside, why);
    }
  }
  fs::rename(aside, path, error);
  if (!error) return "";
  const std::string why = error.message();
  fs::remove(aside, error);
  return fmt::format("{}: {}", path, why);
}

}  // namespace weft
