#include "checkpoint/tensor_table.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"

namespace beryl::checkpoint {

std::string shape_text(std::span<const int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ","));
}

void TensorTable::add(TensorRecord record) {
  const auto [position, is_new] = index_.emplace(record.name, records_.size());
  if (!is_new) {
    const TensorRecord& first = records_[position->second];
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("tensor '{}' is present twice: in '{}' and in '{}'", record.name,
                            first.range.file->path().filename().string(),
                            record.range.file->path().filename().string()),
                "download the checkpoint again, or remove the shard that does not belong to it");
  }
  records_.push_back(std::move(record));
}

const TensorRecord* TensorTable::find(std::string_view name) const {
  const auto position = index_.find(name);
  return position == index_.end() ? nullptr : &records_[position->second];
}

}  // namespace beryl::checkpoint
