// The safetensors files of a model directory, opened and proven to be whole.
//
// Which files: those that model.safetensors.index.json names, or model.safetensors when there is no index. A
// folder with both follows its index, unless the index names only files that are not there: then a tool has
// saved one new file beside the index of an older save, and model.safetensors alone is read. An index of
// other files that are there beside a model.safetensors that it does not name is refused: that folder holds
// two checkpoints. Other *.safetensors files are ignored and listed.
#pragma once

#include <cstddef>
#include <deque>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "checkpoint/limits.h"
#include "checkpoint/tensor_table.h"

namespace beryl::checkpoint {

struct Shard {
  File file;
  std::map<std::string, std::string> metadata;
};

// Opens the files and reads their headers; no weight is read. Each tensor is where the index says, in one
// shard only, inside its file; nothing else is in the files. Movable; the records' files keep their
// addresses.
class ShardSet {
 public:
  // `directory` may hold symbolic links to its files, as the Hugging Face cache does.
  // Errors: kNotFound for missing shards and for a folder without weights; kUnsupported when there are only
  // weights of other kinds; kInvalidInput for damaged or contradicting files; kIo. Each names files and
  // tensors.
  explicit ShardSet(const std::filesystem::path& directory, const SafetensorsLimits& limits = {});
  // Files that were opened elsewhere, with the tensors in them.
  ShardSet(std::deque<Shard> shards, TensorTable tensors, std::vector<std::string> ignored_files)
      : shards_(std::move(shards)), tensors_(std::move(tensors)), ignored_files_(std::move(ignored_files)) {}

  // All tensors, shard by shard in the order of their bytes. Their ranges are valid while this object lives.
  const TensorTable& tensors() const { return tensors_; }
  // In the order of their names.
  const std::deque<Shard>& shards() const { return shards_; }
  // Names of files that stand in the folder, look like a part of the model, and were not read; sorted.
  std::span<const std::string> ignored_files() const { return ignored_files_; }

 private:
  std::deque<Shard> shards_;
  TensorTable tensors_;
  std::vector<std::string> ignored_files_;
};

}  // namespace beryl::checkpoint
