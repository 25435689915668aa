#include "checkpoint/shard_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/quote.h"
#include "checkpoint/limits.h"

namespace beryl::checkpoint {
namespace {

// The longest file name that Linux file systems take.
constexpr size_t kFileNameBytesMax = 255;

[[noreturn]] void refuse(std::string_view source, std::string_view message) {
  throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", source, message),
              "the index is damaged: download it again");
}

// The name comes from a file and is about to be opened: it may name a file in the model's folder and nothing
// else.
void check_shard_name(std::string_view name, std::string_view source) {
  const bool is_plain = !name.empty() && name.size() <= kFileNameBytesMax && !name.starts_with('.') &&
                        name.find("..") == std::string_view::npos &&
                        std::none_of(name.begin(), name.end(), [](char c) {
                          const auto byte = static_cast<unsigned char>(c);
                          return c == '/' || c == '\\' || byte < 0x20 || byte == 0x7f;
                        });
  if (!is_plain) refuse(source, fmt::format("shard name {} is not a plain file name", quote(name)));
  if (name.ends_with(".bin") || name.ends_with(".pt")) {
    throw Error(
        ErrorCode::kUnsupported,
        fmt::format("{}: shard {} is a pickle, which can run code when it is read", source, quote(name)),
        "give a checkpoint in safetensors files");
  }
  if (!name.ends_with(".safetensors")) {
    refuse(source, fmt::format("shard {} is not a .safetensors file", quote(name)));
  }
}

}  // namespace

size_t ShardIndex::tensor_count(size_t shard) const {
  return static_cast<size_t>(std::count_if(shard_of.begin(), shard_of.end(),
                                           [&](const auto& entry) { return entry.second == shard; }));
}

ShardIndex parse_shard_index(std::string_view text, std::string_view source) {
  const nlohmann::json root = parse_json(text, source);
  const auto weight_map = root.find("weight_map");
  if (weight_map == root.end() || !weight_map->is_object() || weight_map->empty()) {
    refuse(source, "no 'weight_map' object that maps tensors to files");
  }
  std::map<std::string, size_t, std::less<>> positions;
  for (const auto& [tensor, shard] : weight_map->items()) {
    const auto* name = shard.get_ptr<const std::string*>();
    if (name == nullptr)
      refuse(source, fmt::format("weight_map: the file of tensor {} is not a string", quote(tensor)));
    if (positions.contains(*name)) continue;
    check_shard_name(*name, source);
    positions.emplace(*name, 0);
    if (positions.size() > kShardsMax) refuse(source, fmt::format("more than {} shards", kShardsMax));
  }
  ShardIndex index;
  for (auto& [name, position] : positions) {
    position = index.shards.size();
    index.shards.push_back(name);
  }
  for (const auto& [tensor, shard] : weight_map->items()) {
    index.shard_of.emplace(tensor, positions.at(shard.get_ref<const std::string&>()));
  }
  return index;
}

}  // namespace beryl::checkpoint
