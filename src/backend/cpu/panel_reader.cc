#include "backend/cpu/panel_reader.h"

#include "base/check.h"

namespace beryl::backend {

const std::byte* PanelReader::panels(const PackedMatrix& matrix, int64_t first, int64_t count) {
  const MatrixSource* const source = matrix.source();
  if (source == nullptr) return matrix.panel(first);
  const int64_t panel_bytes = matrix.layout().panel_bytes;
  const auto lines = static_cast<size_t>(count * panel_bytes / kLineBytes);
  if (packed_.size() < lines) packed_.resize(lines);
  auto* const to = reinterpret_cast<std::byte*>(packed_.data());

  PackedLayout part = matrix.layout();
  const int64_t parts = source->up ? 2 : 1;
  part.rows /= parts;
  part.panels /= parts;
  BERYL_CHECK(first % parts == 0 && count % parts == 0);
  const auto pack = [&](const std::string& name, const formats::QuantMatrix& half, int index) {
    packer_.pack({.name = &name, .matrix = &half, .layout = &part, .input_order = matrix.input_order(index)},
                 first / parts, (first + count) / parts,
                 {.first = to + index * panel_bytes, .stride = parts * panel_bytes});
  };
  pack(source->name, source->matrix, 0);
  if (source->up) pack(source->up_name, *source->up, 1);
  return to;
}

}  // namespace beryl::backend
