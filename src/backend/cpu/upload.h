// Reads published matrices from their files into packed memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/packed_matrix.h"
#include "backend/cpu/thread_pool.h"
#include "backend/cpu/weight_arena.h"
#include "formats/code_moves.h"

namespace beryl::backend {

PackedLayout packed_layout(const formats::QuantMatrix& matrix);
// The layout of a source: a gated pair has the panels of both halves.
PackedLayout packed_layout(const MatrixSource& source);

// Where weights are while a model runs.
enum class WeightPlace : uint8_t {
  kMemory,
  kFiles,  // packed anew, panel by panel, each time they are used; but made-up ones are in memory
};

// Memory that a source is packed into: none when it stays in its file.
uint64_t packed_bytes(const MatrixSource& source, WeightPlace place);

// Matrices and the memory that they live in.
struct Upload {
  std::unique_ptr<WeightArena> arena;
  std::vector<std::unique_ptr<Matrix>> matrices;  // in the order of the sources
};

// Streams all sources but tables (table_matrix.h) in file order with the moves of any set, shared over the
// pool's threads. Errors: as Backend::upload().
Upload upload_matrices(std::span<const MatrixSource> sources, WeightPlace place,
                       const formats::CodeMoves& moves, ThreadPool& pool, Progress& progress);

}  // namespace beryl::backend
