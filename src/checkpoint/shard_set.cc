#include "checkpoint/shard_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/quote.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/shard_index.h"

namespace beryl::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSingleName = "model.safetensors";
constexpr std::string_view kIndexName = "model.safetensors.index.json";

// What a folder is going to be read as.
struct Selection {
  std::vector<std::string> shards;  // sorted
  std::optional<ShardIndex> index;
  bool index_is_outdated = false;
};

// 'a', 'b' and 7 more.
std::string list_text(std::span<const std::string> names) {
  constexpr size_t kShownMax = 4;
  std::string text;
  for (const std::string& name : names.first(std::min(names.size(), kShownMax))) {
    if (!text.empty()) text += ", ";
    text += quote(name);
  }
  if (names.size() > kShownMax) text += fmt::format(" and {} more", names.size() - kShownMax);
  return text;
}

std::set<std::string> names_in(const fs::path& directory) {
  std::error_code error;
  std::set<std::string> names;
  fs::directory_iterator entry(directory, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    names.insert(entry->path().filename().string());
  }
  if (error) {
    const bool is_missing = error == std::errc::no_such_file_or_directory;
    throw Error(is_missing ? ErrorCode::kNotFound : ErrorCode::kIo,
                fmt::format("cannot list the directory '{}': {}", directory.string(), error.message()));
  }
  return names;
}

std::vector<std::string> with_ending(const std::set<std::string>& names,
                                     std::initializer_list<std::string_view> endings) {
  std::vector<std::string> found;
  std::copy_if(names.begin(), names.end(), std::back_inserter(found), [&](const std::string& name) {
    return std::any_of(endings.begin(), endings.end(),
                       [&](std::string_view ending) { return name.ends_with(ending); });
  });
  return found;
}

// The folder holds neither of the two names: says what it holds instead.
[[noreturn]] void refuse_without_weights(const fs::path& directory, const std::set<std::string>& names) {
  const std::string where = fmt::format("'{}' holds no '{}'", directory.string(), kSingleName);
  if (const auto files = with_ending(names, {".safetensors"}); !files.empty()) {
    throw Error(ErrorCode::kNotFound,
                fmt::format("{} and no '{}' to say what {} are", where, kIndexName, list_text(files)),
                fmt::format("download '{}' too, or rename a single file to '{}'", kIndexName, kSingleName));
  }
  if (const auto files = with_ending(names, {".gguf"}); !files.empty()) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}, but {}: no GGUF file of a language model", where, list_text(files)),
                "give a checkpoint in safetensors files, or the GGUF file of a language model");
  }
  if (const auto files = with_ending(names, {".bin", ".pt", ".pth", ".ckpt", ".pkl"}); !files.empty()) {
    throw Error(
        ErrorCode::kUnsupported,
        fmt::format("{}, but {}: pickled weights can run code and are never read", where, list_text(files)),
        "give a checkpoint in safetensors files");
  }
  const std::vector<std::string> others(names.begin(), names.end());
  throw Error(ErrorCode::kNotFound,
              fmt::format("{}; it {}", where, others.empty() ? "is empty" : "has " + list_text(others)),
              "give the directory that holds the model's safetensors files and config.json");
}

Selection select_shards(const fs::path& directory, const std::set<std::string>& names) {
  const bool has_single = names.contains(std::string(kSingleName));
  Selection selection;
  if (names.contains(std::string(kIndexName))) {
    const fs::path path = directory / kIndexName;
    selection.index =
        parse_shard_index(read_text_file(path, kIndexBytesMax), fmt::format("'{}'", path.string()));
    selection.shards = selection.index->shards;
  } else if (has_single) {
    selection.shards = {std::string(kSingleName)};
  } else {
    refuse_without_weights(directory, names);
  }
  const auto& shards = selection.shards;
  if (!has_single || std::binary_search(shards.begin(), shards.end(), kSingleName)) return selection;

  const auto present = std::find_if(shards.begin(), shards.end(),
                                    [&](const std::string& shard) { return names.contains(shard); });
  if (present != shards.end()) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("'{}' holds two checkpoints: '{}', and {} of '{}'", directory.string(),
                            kSingleName, quote(*present), kIndexName),
                "move one of the two to another directory");
  }
  return {.shards = {std::string(kSingleName)}, .index = std::nullopt, .index_is_outdated = true};
}

void refuse_missing_shards(const fs::path& directory, const Selection& selection) {
  std::vector<std::string> missing;
  for (size_t i = 0; i < selection.shards.size(); ++i) {
    const std::string& name = selection.shards[i];
    std::error_code ignored;
    const fs::path path = directory / name;
    if (fs::exists(fs::status(path, ignored))) continue;
    std::string text = quote(name);
    if (selection.index) text += fmt::format(" ({} tensors)", selection.index->tensor_count(i));
    if (fs::is_symlink(fs::symlink_status(path, ignored))) {
      text +=
          fmt::format(", a link to {} that is not there", quote(fs::read_symlink(path, ignored).string()));
    }
    missing.push_back(std::move(text));
  }
  if (missing.empty()) return;
  constexpr size_t kShownMax = 8;
  const size_t shown = std::min(missing.size(), kShownMax);
  std::string list =
      fmt::format("{}", fmt::join(missing.begin(), missing.begin() + static_cast<long>(shown), ", "));
  if (missing.size() > shown) list += fmt::format(" and {} more", missing.size() - shown);
  throw Error(ErrorCode::kNotFound,
              fmt::format("'{}': {} of {} shards missing: {}", directory.string(), missing.size(),
                          selection.shards.size(), list),
              "the download is incomplete: download the model again");
}

std::string shard_name(const File& file) {
  return quote(file.path().filename().string());
}

// The first of several faults of one kind, and how many more there are.
class FaultCount {
 public:
  void add(std::string text) {
    if (count_++ == 0) first_ = std::move(text);
  }
  void refuse_if_any(const fs::path& directory) const {
    if (count_ == 0) return;
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("'{}': {}{}", directory.string(), first_,
                    count_ == 1 ? "" : fmt::format(" (and {} more such tensors)", count_ - 1)),
        "the shards are of another version than the index, or were renamed: download the model again");
  }

 private:
  std::string first_;
  size_t count_ = 0;
};

void check_against_index(const fs::path& directory, const ShardIndex& index, const ShardSet& set) {
  FaultCount misplaced;
  FaultCount unlisted;
  for (const TensorRecord& tensor : set.tensors().records()) {
    const auto entry = index.shard_of.find(tensor.name);
    if (entry == index.shard_of.end()) {
      unlisted.add(fmt::format("tensor {} is in {}, but not in '{}'", quote(tensor.name),
                               shard_name(*tensor.range.file), kIndexName));
    } else if (tensor.range.file != &set.shards()[entry->second].file) {
      misplaced.add(fmt::format("tensor {} is in {}, but '{}' says {}", quote(tensor.name),
                                shard_name(*tensor.range.file), kIndexName,
                                quote(index.shards[entry->second])));
    }
  }
  FaultCount absent;
  for (const auto& [name, shard] : index.shard_of) {
    if (set.tensors().find(name) != nullptr) continue;
    absent.add(fmt::format("'{}' says that tensor {} is in {}, which does not hold it", kIndexName,
                           quote(name), quote(index.shards[shard])));
  }
  misplaced.refuse_if_any(directory);
  unlisted.refuse_if_any(directory);
  absent.refuse_if_any(directory);
}

}  // namespace

ShardSet::ShardSet(const fs::path& directory, const SafetensorsLimits& limits) {
  const std::set<std::string> names = names_in(directory);
  const Selection selection = select_shards(directory, names);
  refuse_missing_shards(directory, selection);

  for (const std::string& name : selection.shards) {
    Shard& shard = shards_.emplace_back(Shard{File(directory / name), {}});
    SafetensorsHeader header = read_safetensors_header(shard.file, limits);
    shard.metadata = std::move(header.metadata);
    with_context(fmt::format("'{}'", directory.string()), [&] {
      for (TensorRecord& tensor : header.tensors) tensors_.add(std::move(tensor));
    });
  }
  if (selection.index) check_against_index(directory, *selection.index, *this);

  for (const std::string& name : with_ending(names, {".safetensors", ".gguf"})) {
    const auto& shards = selection.shards;
    if (!std::binary_search(shards.begin(), shards.end(), name)) ignored_files_.push_back(name);
  }
  if (selection.index_is_outdated) ignored_files_.emplace_back(kIndexName);
  std::sort(ignored_files_.begin(), ignored_files_.end());
}

}  // namespace beryl::checkpoint
