#include "backend/cpu/upload.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "backend/cpu/pack.h"
#include "base/check.h"
#include "base/error.h"
#include "formats/decoder.h"

namespace beryl::backend {
namespace {

// Read at a time by one thread: small enough to stay in its cache until it is packed.
constexpr int64_t kChunkBytes = int64_t{512} << 10;

// How many chunks the disk is asked for ahead of the one being packed: threads that read in turn look random
// to the system's own read-ahead.
constexpr size_t kChunksAhead = 64;

// A run of panels of one published matrix.
struct Chunk {
  const std::string* name;  // the module, for errors
  const formats::QuantMatrix* matrix;
  const std::vector<float>* row_scales;  // [rows]; null without scales
  PackedLayout layout;                   // of the published matrix alone
  std::byte* first_panel;                // where its panel 0 goes
  int64_t panel_stride;                  // bytes from one of its panels to the next
  int64_t panel_begin;
  int64_t panel_end;

  uint64_t row_bytes() const { return static_cast<uint64_t>(layout.cols * layout.code_bytes); }
  int64_t row_begin() const { return panel_begin * kPanelRows; }
  int64_t row_end() const { return std::min(panel_end * kPanelRows, layout.rows); }
  uint64_t bytes() const { return static_cast<uint64_t>(row_end() - row_begin()) * row_bytes(); }
  uint64_t file_offset() const {
    return matrix->codes.range.offset + static_cast<uint64_t>(row_begin()) * row_bytes();
  }
  void read_ahead() const { matrix->codes.range.file->read_ahead(file_offset(), bytes()); }
};

void add_chunks(Chunk whole, std::vector<Chunk>& chunks) {
  const int64_t bytes_per_panel = std::max<int64_t>(1, static_cast<int64_t>(whole.row_bytes()) * kPanelRows);
  const int64_t step = std::max<int64_t>(1, kChunkBytes / bytes_per_panel);
  for (int64_t panel = 0; panel < whole.layout.panels; panel += step) {
    whole.panel_begin = panel;
    whole.panel_end = std::min(panel + step, whole.layout.panels);
    chunks.push_back(whole);
  }
}

void pack_chunk(const Chunk& chunk, std::vector<std::byte>& staging) {
  const int64_t first_row = chunk.row_begin();
  staging.resize(chunk.bytes());
  chunk.matrix->codes.range.file->read(chunk.file_offset(), staging);
  for (int64_t panel = chunk.panel_begin; panel < chunk.panel_end; ++panel) {
    const int64_t begin = panel * kPanelRows;
    const int64_t rows = std::min(kPanelRows, chunk.layout.rows - begin);
    const auto bytes = std::span(staging).subspan(static_cast<size_t>(begin - first_row) * chunk.row_bytes(),
                                                  static_cast<size_t>(rows) * chunk.row_bytes());
    std::byte* to = chunk.first_panel + panel * chunk.panel_stride;
    if (!pack_panel(chunk.layout, bytes, to)) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("weight holds an infinity or NaN in rows {} to {}", begin, begin + rows - 1),
                  "the checkpoint is damaged; download it again, or report it to its publisher");
    }
    if (chunk.row_scales != nullptr) {
      pack_scales(chunk.layout,
                  std::span(*chunk.row_scales).subspan(static_cast<size_t>(begin), static_cast<size_t>(rows)),
                  to);
    }
  }
}

// Plans the reads of all sources; scales, which are small, are read here.
class UploadPlan {
 public:
  explicit UploadPlan(std::span<const MatrixSource> sources) {
    uint64_t total = 0;
    for (const MatrixSource& source : sources) total += packed_layout(source).bytes();
    upload_.arena = std::make_unique<WeightArena>(total);
    for (const MatrixSource& source : sources) {
      read_scales_ahead(source.matrix);
      if (source.up) read_scales_ahead(*source.up);
    }
    std::byte* next = upload_.arena->data();
    for (const MatrixSource& source : sources) {
      add(source, next);
      next += packed_layout(source).bytes();
    }
    std::sort(chunks_.begin(), chunks_.end(), [](const Chunk& a, const Chunk& b) {
      const FileRange& left = a.matrix->codes.range;
      const FileRange& right = b.matrix->codes.range;
      if (left.file != right.file) return left.file->path() < right.file->path();
      return a.file_offset() < b.file_offset();
    });
  }

  const std::vector<Chunk>& chunks() const { return chunks_; }
  Upload take() { return std::move(upload_); }

 private:
  // Scales are small and may lie far apart: all are asked for before the first is waited for.
  static void read_scales_ahead(const formats::QuantMatrix& matrix) {
    if (matrix.scales)
      matrix.scales->range.file->read_ahead(matrix.scales->range.offset, matrix.scales->range.bytes);
  }

  void add(const MatrixSource& source, std::byte* data) {
    const PackedLayout whole = packed_layout(source);
    upload_.matrices.push_back(std::make_unique<PackedMatrix>(whole, data));
    const int64_t stride = source.up ? 2 * whole.panel_bytes : whole.panel_bytes;
    add_part(source.name, source.matrix, data, stride);
    if (source.up) add_part(source.up_name, *source.up, data + whole.panel_bytes, stride);
  }

  void add_part(const std::string& name, const formats::QuantMatrix& matrix, std::byte* data,
                int64_t stride) {
    const std::vector<float>* row_scales = nullptr;
    if (matrix.scale_grid != formats::ScaleGrid::kNone) {
      scales_.push_back(std::make_unique<std::vector<float>>(
          with_context(name, [&] { return formats::read_row_scales(matrix); })));
      row_scales = scales_.back().get();
    }
    add_chunks({.name = &name,
                .matrix = &matrix,
                .row_scales = row_scales,
                .layout = packed_layout(matrix),
                .first_panel = data,
                .panel_stride = stride,
                .panel_begin = 0,
                .panel_end = 0},
               chunks_);
  }

  Upload upload_;
  std::vector<Chunk> chunks_;
  std::vector<std::unique_ptr<std::vector<float>>> scales_;
};

}  // namespace

PackedLayout packed_layout(const MatrixSource& source) {
  PackedLayout layout = packed_layout(source.matrix);
  if (source.up) {
    const PackedLayout up = packed_layout(*source.up);
    BERYL_CHECK(up.panel_bytes == layout.panel_bytes && up.rows == layout.rows && up.format == layout.format);
    layout.rows *= 2;
    layout.panels *= 2;
  }
  return layout;
}

Upload upload_matrices(std::span<const MatrixSource> sources, ThreadPool& pool, Progress& progress) {
  UploadPlan plan(sources);
  const std::vector<Chunk>& chunks = plan.chunks();
  uint64_t total_bytes = 0;
  for (const MatrixSource& source : sources) {
    total_bytes += source.matrix.published_bytes() + (source.up ? source.up->published_bytes() : 0);
  }
  std::atomic<size_t> next{0};
  std::atomic<uint64_t> done_bytes{0};
  for (size_t i = 0; i < std::min(kChunksAhead, chunks.size()); ++i) chunks[i].read_ahead();
  pool.run([&](int) {
    std::vector<std::byte> staging;
    while (true) {
      const size_t index = next.fetch_add(1);
      if (index >= chunks.size()) return;
      if (index + kChunksAhead < chunks.size()) chunks[index + kChunksAhead].read_ahead();
      const Chunk& chunk = chunks[index];
      with_context(*chunk.name, [&] { pack_chunk(chunk, staging); });
      progress.update(std::min(total_bytes, done_bytes.fetch_add(staging.size()) + staging.size()),
                      total_bytes);
    }
  });
  progress.update(total_bytes, total_bytes);
  return plan.take();
}

}  // namespace beryl::backend
