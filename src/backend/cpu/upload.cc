#include "backend/cpu/upload.h"

#include <algorithm>
#include <atomic>

#include "backend/cpu/pack_order.h"
#include "backend/cpu/panel_packer.h"
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
  PanelSource source;
  PanelPlace place;
  int64_t panel_begin = 0;
  int64_t panel_end = 0;

  // Where its codes begin and how many bytes they are, if they lie by rows.
  uint64_t file_offset() const { return source.file_offset(panel_begin * kPanelRows); }
  uint64_t bytes() const {
    return source.file_offset(std::min(panel_end * kPanelRows, source.matrix->rows)) - file_offset();
  }
  void read_ahead() const {
    if (source.matrix->is_made_up()) return;
    source.matrix->codes.range.file->read_ahead(file_offset(), bytes());
  }
};

// Rows of matrices that do not lie by rows are read in strips, which should not be too narrow.
bool is_strided(const formats::QuantMatrix& matrix) {
  return matrix.code_order == formats::CodeOrder::kInputWords ||
         matrix.code_order == formats::CodeOrder::kOutputWords;
}

void add_chunks(const Chunk& whole, std::vector<Chunk>& chunks) {
  const formats::QuantMatrix& matrix = *whole.source.matrix;
  const int64_t row_bytes =
      static_cast<int64_t>(matrix.codes.range.bytes) / std::max<int64_t>(1, matrix.rows);
  const int64_t panel_bytes = std::max<int64_t>(1, row_bytes * kPanelRows);
  int64_t step = std::max<int64_t>(1, kChunkBytes / panel_bytes);
  if (is_strided(matrix)) step = std::max(kStripRows / kPanelRows, kStripBytes / panel_bytes);
  // Chunks of one size let a thread use its memory again as it is.
  const int64_t panels = whole.source.layout->panels;
  if (panels > 0) step = ceil_div(panels, ceil_div(panels, step));
  for (int64_t panel = 0; panel < panels; panel += step) {
    Chunk& chunk = chunks.emplace_back(whole);
    chunk.place.first += panel * whole.place.stride;
    chunk.panel_begin = panel;
    chunk.panel_end = std::min(panel + step, panels);
  }
}

// Whether a source is packed into memory at once.
bool is_packed(const MatrixSource& source, WeightPlace place) {
  return source.matrix.is_made_up() || (place == WeightPlace::kMemory && !stays_in_file(source));
}

// Plans the reads of all sources.
class UploadPlan {
 public:
  UploadPlan(std::span<const MatrixSource> sources, WeightPlace place, int threads) {
    uint64_t total = 0;
    for (const MatrixSource& source : sources) total += packed_bytes(source, place);
    upload_.arena = std::make_unique<WeightArena>(total);
    std::byte* next = upload_.arena->data();
    for (const MatrixSource& source : sources) {
      if (stays_in_file(source)) {
        upload_.matrices.push_back(std::make_unique<TableMatrix>(source, threads));
        continue;
      }
      if (!is_packed(source, place)) {
        add_in_files(source);
        continue;
      }
      add(source, next);
      next += packed_bytes(source, place);
    }
    std::sort(chunks_.begin(), chunks_.end(), [](const Chunk& a, const Chunk& b) {
      const FileRange& left = a.source.matrix->codes.range;
      const FileRange& right = b.source.matrix->codes.range;
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
    set_order(name, matrix, half, packed);
    layouts_.push_back(std::make_unique<PackedLayout>(packed_layout(matrix)));
    add_chunks({.source = {.name = &name,
                           .matrix = &matrix,
                           .layout = layouts_.back().get(),
                           .input_order = packed.input_order(half)},
                .place = {.first = data, .stride = stride}},
               chunks_);
  }

  void add_in_files(const MatrixSource& source) {
    auto matrix = std::make_unique<PackedMatrix>(packed_layout(source), source);
    set_order(source.name, source.matrix, 0, *matrix);
    if (source.up) set_order(source.up_name, *source.up, 1, *matrix);
    upload_.matrices.push_back(std::move(matrix));
  }

  static void set_order(const std::string& name, const formats::QuantMatrix& matrix, int half,
                        PackedMatrix& packed) {
    if (!matrix.group_index) return;
    const auto index = with_context(name, [&] { return formats::RowReader(matrix).take_group_index(); });
    packed.set_input_order(half, order_by_group(index));
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

uint64_t packed_bytes(const MatrixSource& source, WeightPlace place) {
  return is_packed(source, place) ? packed_layout(source).bytes() : 0;
}

Upload upload_matrices(std::span<const MatrixSource> sources, WeightPlace place,
                       const formats::CodeMoves& moves, ThreadPool& pool, Progress& progress) {
  UploadPlan plan(sources, place, pool.thread_count());
  const std::vector<Chunk>& chunks = plan.chunks();
  uint64_t total_bytes = 0;
  for (const MatrixSource& source : sources) {
    if (!is_packed(source, place)) continue;
    total_bytes += source.matrix.published_bytes() + (source.up ? source.up->published_bytes() : 0);
  }
  std::atomic<size_t> next{0};
  std::atomic<uint64_t> done_bytes{0};
  for (size_t i = 0; i < std::min(kChunksAhead, chunks.size()); ++i) chunks[i].read_ahead();
  pool.run([&](int) {
    PanelPacker packer(moves);
    while (true) {
      const size_t index = next.fetch_add(1);
      if (index >= chunks.size()) return;
      if (index + kChunksAhead < chunks.size()) chunks[index + kChunksAhead].read_ahead();
      const Chunk& chunk = chunks[index];
      packer.pack(chunk.source, chunk.panel_begin, chunk.panel_end, chunk.place);
      progress.update(std::min(total_bytes, done_bytes.fetch_add(chunk.bytes()) + chunk.bytes()),
                      total_bytes);
    }
  });
  progress.update(total_bytes, total_bytes);
  return plan.take();
}

}  // namespace beryl::backend
