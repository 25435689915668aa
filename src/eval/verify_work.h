// Shares the reading of many matrices among threads, in pieces of a few megabytes and in the order in which
// they lie in the files.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.h"
#include "checkpoint/role.h"
#include "checkpoint/weight_map.h"
#include "eval/verify.h"

namespace beryl::eval {

// Some rows of the weight at an index of a list.
struct Piece {
  size_t weight = 0;
  int64_t first_row = 0;
  int64_t rows = 0;
  uint64_t bytes = 0;
};

// A weight with its role; both are borrowed from a WeightMap.
struct RoleWeight {
  const checkpoint::Role* role = nullptr;
  const checkpoint::Weight* weight = nullptr;
};

// Cuts all the matrices; pieces start at multiples of 64 rows.
std::vector<Piece> cut_into_pieces(std::span<const RoleWeight> weights);

// Calls work(piece) for each piece, several at a time, and counts bytes. What `work` throws is rethrown when
// all threads have stopped.
void for_each_piece(std::span<const Piece> pieces, int threads, Progress& progress,
                    const std::function<void(const Piece&)>& work);

// What a finding calls a weight: its module, and its role where the module's name does not say it.
std::string weight_label(const checkpoint::Role& role, const checkpoint::Weight& weight);

// "attention", "experts", ...: a class of the report.
std::string_view class_name(checkpoint::Part part);

// The classes in the order of the network.
std::span<const std::string_view> class_names();

}  // namespace beryl::eval
