#include "eval/verify_work.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <tuple>
#include <utility>

#include "eval/verify_statistics.h"

namespace beryl::eval {
namespace {

using checkpoint::Part;
using checkpoint::PartClass;

constexpr uint64_t kPieceBytes = uint64_t{8} << 20;

constexpr std::array<std::string_view, 8> kClasses = {
    "embedding", "per-layer inputs", "attention", "dense MLP", "router", "experts", "norms", "head"};

}  // namespace

std::vector<Piece> cut_into_pieces(std::span<const RoleWeight> weights) {
  std::vector<Piece> pieces;
  for (size_t i = 0; i < weights.size(); ++i) {
    const formats::QuantMatrix& matrix = weights[i].weight->matrix;
    const uint64_t bytes = matrix.published_bytes();
    const auto count = static_cast<int64_t>(bytes / kPieceBytes) + 1;
    const int64_t rows =
        std::max(kRowSegment, (matrix.rows / count + kRowSegment - 1) / kRowSegment * kRowSegment);
    for (int64_t row = 0; row < matrix.rows; row += rows) {
      const int64_t taken = std::min(rows, matrix.rows - row);
      const double share = static_cast<double>(taken) / static_cast<double>(matrix.rows);
      pieces.push_back({.weight = i,
                        .first_row = row,
                        .rows = taken,
                        .bytes = static_cast<uint64_t>(share * static_cast<double>(bytes))});
    }
  }
  std::sort(pieces.begin(), pieces.end(), [&](const Piece& a, const Piece& b) {
    const FileRange& x = weights[a.weight].weight->matrix.codes.range;
    const FileRange& y = weights[b.weight].weight->matrix.codes.range;
    if (x.file != y.file) return std::less<>()(x.file, y.file);
    return std::tuple(x.offset, a.weight, a.first_row) < std::tuple(y.offset, b.weight, b.first_row);
  });
  return pieces;
}

void for_each_piece(std::span<const Piece> pieces, int threads, Progress& progress,
                    const std::function<void(const Piece&)>& work) {
  uint64_t total = 0;
  for (const Piece& piece : pieces) total += piece.bytes;
  std::atomic<size_t> next = 0;
  std::atomic<uint64_t> done = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  const auto run = [&] {
    try {
      for (size_t i = next++; i < pieces.size(); i = next++) {
        work(pieces[i]);
        progress.update(done += pieces[i].bytes, total);
      }
    } catch (...) {
      next = pieces.size();
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  const auto count = std::min(static_cast<size_t>(std::max(1, threads)), std::max<size_t>(1, pieces.size()));
  std::vector<std::jthread> others;
  for (size_t i = 1; i < count; ++i) others.emplace_back(run);
  run();
  others.clear();
  if (failure) std::rethrow_exception(failure);
}

std::string weight_label(const checkpoint::Role& role, const checkpoint::Weight& weight) {
  const checkpoint::TensorName name = checkpoint::parse_tensor_name(weight.module + ".weight");
  const bool says_role = name.kind == checkpoint::TensorName::Kind::kWeight && name.role == role;
  if (says_role || weight.module.ends_with(checkpoint::role_name(role))) return weight.module;
  return fmt::format("{} ({})", weight.module, checkpoint::role_name(role));
}

std::string_view class_name(Part part) {
  switch (checkpoint::class_of(part)) {
    case PartClass::kEmbedding:
      return kClasses[0];
    case PartClass::kPerLayerEmbedding:
    case PartClass::kPerLayerInputs:
      return kClasses[1];
    case PartClass::kAttention:
      return kClasses[2];
    case PartClass::kDenseMlp:
      return kClasses[3];
    case PartClass::kRouter:
      return kClasses[4];
    case PartClass::kExperts:
      return kClasses[5];
    case PartClass::kNorms:
      return kClasses[6];
    case PartClass::kHead:
      return kClasses[7];
  }
  return {};
}

std::span<const std::string_view> class_names() {
  return kClasses;
}

}  // namespace beryl::eval
