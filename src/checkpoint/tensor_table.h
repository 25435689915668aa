// checkpoint: from a model directory to weights with known roles.
//
// In:  safetensors headers, config.json and its relatives, all untrusted.
// Out: a WeightMap, in which every weight of the network is one QuantMatrix or vector in a file range.
// Must never know: arithmetic on weights, backends, text.
//
// Read first: checkpoint.h (opens a directory), then weight_map.h (names to roles, the completeness rule).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "formats/dtype.h"

namespace beryl::checkpoint {

// One tensor as a header describes it; `range` has been checked against the file's size.
struct TensorRecord {
  std::string name;
  formats::DType dtype = formats::DType::kBf16;
  std::vector<int64_t> shape;
  FileRange range;
};

// "[128,1408,2816]".
std::string shape_text(std::span<const int64_t> shape);

// All tensors of a checkpoint by name, over all its shards.
class TensorTable {
 public:
  // Errors: kInvalidInput when the name is there already; the message names both files.
  void add(TensorRecord record);
  // Null when there is no such tensor. The pointer lives until the next add().
  const TensorRecord* find(std::string_view name) const;
  // In the order of their addition.
  std::span<const TensorRecord> records() const { return records_; }

 private:
  std::vector<TensorRecord> records_;
  // Name -> position in records_. A tree, because whoever writes the names could make a hash table slow.
  std::map<std::string, size_t, std::less<>> index_;
};

}  // namespace beryl::checkpoint
