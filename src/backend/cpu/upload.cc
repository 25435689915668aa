#include "backend/cpu/upload.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <optional>

#include "backend/cpu/made_up.h"
#include "backend/cpu/pack.h"
#include "backend/cpu/pack_order.h"
#include "backend/cpu/table_matrix.h"
#include "base/check.h"
#include "base/checked_math.h"
#include "base/error.h"
#include "formats/row_reader.h"

namespace beryl::backend {
namespace {

// Read at a time by one thread: small enough to stay in its cache until it is packed.
constexpr int64_t kChunkBytes = int64_t{256} << 10;

// How many chunks the disk is asked for ahead of the one being packed: threads that read in turn look random
// to the system's own read-ahead.
constexpr size_t kChunksAhead = 64;

// Strips of a matrix that does not lie by rows: all of it when it is small, since that is one read, and never
// so few rows that each read is short.
constexpr int64_t kStripBytes = int64_t{2} << 20;
constexpr int64_t kStripRows = 2048;

// A run of panels of one published matrix.
struct Chunk {
  const std::string* name;  // the module, for errors
  const formats::QuantMatrix* matrix;
  const PackedLayout* layout;            // of the published matrix alone
  std::span<const int32_t> input_order;  // empty: as published
  std::byte* first_panel;                // where its panel 0 goes
  int64_t panel_stride;                  // bytes from one of its panels to the next
  int64_t panel_begin;
  int64_t panel_end;

  int64_t row_begin() const { return panel_begin * kPanelRows; }
  int64_t row_end() const { return std::min(panel_end * kPanelRows, matrix->rows); }
  // Where its codes begin and how many bytes they are, if they lie by rows.
  uint64_t bytes() const { return share(row_end()) - share(row_begin()); }
  uint64_t file_offset() const { return matrix->codes.range.offset + share(row_begin()); }
  void read_ahead() const {
    if (!matrix->is_made_up()) matrix->codes.range.file->read_ahead(file_offset(), bytes());
  }

 private:
  uint64_t share(int64_t row) const {
    const auto rows = static_cast<uint64_t>(std::max<int64_t>(1, matrix->rows));
    return matrix->codes.range.bytes / rows * static_cast<uint64_t>(row);
  }
};

// Rows of matrices that do not lie by rows are read in strips, which should not be too narrow.
bool is_strided(const formats::QuantMatrix& matrix) {
  return matrix.code_order == formats::CodeOrder::kInputWords ||
         matrix.code_order == formats::CodeOrder::kOutputWords;
}

void add_chunks(Chunk whole, std::vector<Chunk>& chunks) {
  const formats::QuantMatrix& matrix = *whole.matrix;
  const int64_t row_bytes =
      static_cast<int64_t>(matrix.codes.range.bytes) / std::max<int64_t>(1, matrix.rows);
  const int64_t panel_bytes = std::max<int64_t>(1, row_bytes * kPanelRows);
  int64_t step = std::max<int64_t>(1, kChunkBytes / panel_bytes);
  if (is_strided(matrix)) step = std::max(kStripRows / kPanelRows, kStripBytes / panel_bytes);
  // Chunks of one size let a thread use its memory again as it is.
  const int64_t panels = whole.layout->panels;
  if (panels > 0) step = ceil_div(panels, ceil_div(panels, step));
  for (int64_t panel = 0; panel < whole.layout->panels; panel += step) {
    whole.panel_begin = panel;
    whole.panel_end = std::min(panel + step, whole.layout->panels);
    chunks.push_back(whole);
  }
}

// What one thread works with, kept to spare allocations and to read once what belongs to a whole matrix.
struct Staging {
  const formats::CodeMoves* moves;
  std::optional<formats::RowReader> reader;
  const formats::QuantMatrix* matrix = nullptr;  // of the reader
  formats::RowParts parts;
  ReorderScratch scratch;

  explicit Staging(const formats::CodeMoves& chosen) : moves(&chosen) {}

  formats::RowReader& reader_of(const formats::QuantMatrix& wanted) {
    if (matrix == &wanted) return *reader;
    matrix = nullptr;
    if (reader) {
      reader->turn_to(wanted);
    } else {
      reader.emplace(wanted, *moves);
    }
    matrix = &wanted;
    return *reader;
  }
};

// Rows of a chunk, taken apart.
struct TakenApart {
  int64_t code_row_bytes;
  bool outer_divides;
  formats::CodeShape shape;
};

TakenApart take_apart(const Chunk& chunk, Staging& staging) {
  const int64_t rows = chunk.row_end() - chunk.row_begin();
  if (chunk.matrix->is_made_up()) {
    make_up_rows(*chunk.layout, rows, chunk.file_offset(), staging.parts);
    return {.code_row_bytes = made_up_row_bytes(*chunk.layout),
            .outer_divides = false,
            .shape = formats::CodeShape::kBytes};
  }
  formats::RowReader& reader = staging.reader_of(*chunk.matrix);
  const formats::CodeShape shape = reader.packing_shape(chunk.row_begin(), rows);
  reader.read(chunk.row_begin(), rows, staging.parts, shape);
  const bool are_columns = shape == formats::CodeShape::kColumns;
  return {.code_row_bytes = are_columns ? formats::column_bytes(rows) : reader.code_row_bytes(shape),
          .outer_divides = reader.outer_divides(),
          .shape = shape};
}

void pack_chunk(const Chunk& chunk, Staging& staging) {
  const TakenApart taken = take_apart(chunk, staging);
  const int64_t first_row = chunk.row_begin();
  if (!chunk.input_order.empty()) {
    reorder_inputs(*chunk.layout, taken.shape, chunk.input_order, *staging.moves, staging.parts,
                   staging.scratch);
  }
  for (int64_t panel = chunk.panel_begin; panel < chunk.panel_end; ++panel) {
    const int64_t begin = panel * kPanelRows;
    const int64_t rows = std::min(kPanelRows, chunk.matrix->rows - begin);
    const PanelRows from{.parts = &staging.parts,
                         .code_row_bytes = taken.code_row_bytes,
                         .first = begin - first_row,
                         .count = rows,
                         .outer_divides = taken.outer_divides,
                         .shape = taken.shape,
                         .moves = staging.moves};
    if (pack_panel(*chunk.layout, from, chunk.first_panel + panel * chunk.panel_stride)) continue;
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("weight holds an infinity or NaN in rows {} to {}", begin, begin + rows - 1),
                "the checkpoint is damaged; download it again, or report it to its publisher");
  }
}

// Plans the reads of all sources.
class UploadPlan {
 public:
  UploadPlan(std::span<const MatrixSource> sources, int threads) {
    uint64_t total = 0;
    for (const MatrixSource& source : sources) total += packed_bytes(source);
    upload_.arena = std::make_unique<WeightArena>(total);
    std::byte* next = upload_.arena->data();
    for (const MatrixSource& source : sources) {
      if (stays_in_file(source)) {
        upload_.matrices.push_back(std::make_unique<TableMatrix>(source, threads));
        continue;
      }
      add(source, next);
      next += packed_bytes(source);
    }
    std::sort(chunks_.begin(), chunks_.end(), [](const Chunk& a, const Chunk& b) {
      const FileRange& left = a.matrix->codes.range;
      const FileRange& right = b.matrix->codes.range;
      // Made-up matrices, which have no file, come first.
      if (left.file == nullptr || right.file == nullptr) {
        if (left.file != right.file) return left.file == nullptr;
      } else if (left.file != right.file) {
        return left.file->path() < right.file->path();
      }
      return a.file_offset() < b.file_offset();
    });
  }

  const std::vector<Chunk>& chunks() const { return chunks_; }
  Upload take() { return std::move(upload_); }

 private:
  void add(const MatrixSource& source, std::byte* data) {
    const PackedLayout whole = packed_layout(source);
    auto matrix = std::make_unique<PackedMatrix>(whole, data);
    const int64_t stride = source.up ? 2 * whole.panel_bytes : whole.panel_bytes;
    add_part(source.name, source.matrix, data, stride, 0, *matrix);
    if (source.up) add_part(source.up_name, *source.up, data + whole.panel_bytes, stride, 1, *matrix);
    upload_.matrices.push_back(std::move(matrix));
  }

  void add_part(const std::string& name, const formats::QuantMatrix& matrix, std::byte* data, int64_t stride,
                int half, PackedMatrix& packed) {
    if (matrix.group_index) {
      const auto index = with_context(name, [&] { return formats::RowReader(matrix).take_group_index(); });
      packed.set_input_order(half, order_by_group(index));
    }
    layouts_.push_back(std::make_unique<PackedLayout>(packed_layout(matrix)));
    add_chunks({.name = &name,
                .matrix = &matrix,
                .layout = layouts_.back().get(),
                .input_order = packed.input_order(half),
                .first_panel = data,
                .panel_stride = stride,
                .panel_begin = 0,
                .panel_end = 0},
               chunks_);
  }

  Upload upload_;
  std::vector<Chunk> chunks_;
  std::vector<std::unique_ptr<PackedLayout>> layouts_;
};

}  // namespace

PackedLayout packed_layout(const formats::QuantMatrix& matrix) {
  return PackedLayout(formats::scheme_of(matrix), matrix.rows, matrix.cols);
}

PackedLayout packed_layout(const MatrixSource& source) {
  PackedLayout layout = packed_layout(source.matrix);
  if (source.up) {
    BERYL_CHECK(packed_layout(*source.up) == layout);
    layout.rows *= 2;
    layout.panels *= 2;
  }
  return layout;
}

uint64_t packed_bytes(const MatrixSource& source) {
  return stays_in_file(source) ? 0 : packed_layout(source).bytes();
}

Upload upload_matrices(std::span<const MatrixSource> sources, const formats::CodeMoves& moves,
                       ThreadPool& pool, Progress& progress) {
  UploadPlan plan(sources, pool.thread_count());
  const std::vector<Chunk>& chunks = plan.chunks();
  uint64_t total_bytes = 0;
  for (const MatrixSource& source : sources) {
    if (stays_in_file(source)) continue;
    total_bytes += source.matrix.published_bytes() + (source.up ? source.up->published_bytes() : 0);
  }
  std::atomic<size_t> next{0};
  std::atomic<uint64_t> done_bytes{0};
  for (size_t i = 0; i < std::min(kChunksAhead, chunks.size()); ++i) chunks[i].read_ahead();
  pool.run([&](int) {
    Staging staging(moves);
    while (true) {
      const size_t index = next.fetch_add(1);
      if (index >= chunks.size()) return;
      if (index + kChunksAhead < chunks.size()) chunks[index + kChunksAhead].read_ahead();
      const Chunk& chunk = chunks[index];
      with_context(*chunk.name, [&] { pack_chunk(chunk, staging); });
      progress.update(std::min(total_bytes, done_bytes.fetch_add(chunk.bytes()) + chunk.bytes()),
                      total_bytes);
    }
  });
  progress.update(total_bytes, total_bytes);
  return plan.take();
}

}  // namespace beryl::backend
