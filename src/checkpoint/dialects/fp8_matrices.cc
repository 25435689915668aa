#include "checkpoint/dialects/fp8_matrices.h"

#include "checkpoint/dialects/module_reading.h"
#include "checkpoint/dialects/stored_scheme.h"

namespace beryl::checkpoint {

std::vector<formats::QuantMatrix> fp8_matrices(const ModuleShape& shape, const TensorRecord& codes,
                                               const TensorRecord& scale, int64_t tile_rows,
                                               int64_t tile_cols) {
  const int64_t count = shape.matrix_count();
  std::vector<formats::QuantMatrix> matrices;
  for (int64_t i = 0; i < count; ++i) {
    matrices.push_back(
        {.rows = shape.rows,
         .cols = shape.cols,
         .format = formats::Format::kFp8E4m3,
         .codes = part_of(codes, i, count),
         .scales = formats::TileValues{
             .values = part_of(scale, i, count), .tile_rows = tile_rows, .tile_cols = tile_cols}});
  }
  return matrices;
}

void add_notes(const Module& module, const QuantizationScheme* scheme, bool has_activation_scale,
               ModuleReading& reading) {
  if (scheme == nullptr) {
    reading.notes.push_back(kTensorsDecide);
  } else if (scheme->has_static_activations && !has_activation_scale) {
    reading.notes.push_back(kNoActivationScale);
  }
  if (module.role.part == Part::kRouterProjection) reading.notes.push_back(kRouterIsQuantised);
}

bool has_static_activations(const ConfigFields& section) {
  const std::string scheme = section.find_string("activation_scheme").value_or("dynamic");
  if (scheme != "static" && scheme != "dynamic") {
    section.fail("activation_scheme", "\"static\" or \"dynamic\"");
  }
  return scheme == "static";
}

bool has_weight_blocks(const ConfigFields& section) {
  return section.find("weight_block_size") != nullptr;
}

}  // namespace beryl::checkpoint
