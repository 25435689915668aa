// Networks of the published sizes whose weights are made up: what it takes to measure speed without a
// checkpoint.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "checkpoint/model_config.h"
#include "checkpoint/weight_map.h"

namespace beryl::eval {

// "26b-a4b", "31b", ...; the last one, "tiny", is no published size but a few megabytes for quick tests.
std::vector<std::string> bench_shape_names();
// "bf16", "fp8", "int4-g32", ...
std::vector<std::string> bench_format_names();
// What publishers store the embedding as beside linear layers of a format.
std::string_view default_head_format(std::string_view format);

struct MadeUpOptions {
  std::string shape;
  std::string format;  // of the linear layers but the router, which is always bf16
  std::string head;    // of the embedding, which is also the head; empty: as default_head_format()
  int64_t layers = 0;  // only so many of the first layers; 0: all
};

struct MadeUpModel {
  checkpoint::ModelConfig config;
  checkpoint::WeightMap weights;
  std::unique_ptr<File> vectors;  // what norms and scales are read from: ones
};

// Errors: kInvalidInput for a shape, format or number of layers that there is not; kResource.
MadeUpModel make_up_model(const MadeUpOptions& options);

}  // namespace beryl::eval
