// model.safetensors.index.json: which file of a sharded checkpoint holds which tensor.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace beryl::checkpoint {

struct ShardIndex {
  // Plain file names, sorted, each once.
  std::vector<std::string> shards;
  // Tensor name -> position in `shards`.
  std::map<std::string, size_t, std::less<>> shard_of;

  // How many tensors shard number `shard` should hold.
  size_t tensor_count(size_t shard) const;
};

// Parses the text of an index; `source` names it in errors. Only "weight_map" is read: "total_size" is wrong
// in many published files. Errors: kInvalidInput for anything but a non-empty map from tensor names to names
// of safetensors files in the same folder; kUnsupported when the files are pickles.
ShardIndex parse_shard_index(std::string_view text, std::string_view source);

}  // namespace beryl::checkpoint
