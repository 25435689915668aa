// From tensors to weights with known roles, by one rule: every tensor of the checkpoint is consumed exactly
// once or is on a short list of things knowingly skipped, and every weight of the network is filled exactly
// once. Anything else is an error that lists names.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint/model_config.h"
#include "checkpoint/quantization_config.h"
#include "checkpoint/role.h"
#include "checkpoint/tensor_table.h"
#include "formats/quant_matrix.h"

namespace beryl::checkpoint {

// A matrix, or a vector as a matrix of one column.
struct Weight {
  std::string module;        // the published name, for messages
  std::string_view dialect;  // how the file spells it
  formats::QuantMatrix matrix;
};

// The module, with the weight's own name where the module holds several: for messages.
std::string weight_name(const Role& role, const Weight& weight);

// A tensor that is not used, and why.
struct SkippedTensor {
  std::string name;
  std::string_view reason;
};

// Something the user should know about many modules.
struct Note {
  std::string_view text;
  int64_t modules = 0;
  std::string example;  // the first module that it concerns
};

class WeightMap {
 public:
  WeightMap() = default;
  // Of weights that come from no checkpoint.
  explicit WeightMap(std::map<Role, Weight> weights) : weights_(std::move(weights)) {}

  // Null when the role is not filled, which for a role that the configuration calls for cannot happen.
  const Weight* find(const Role& role) const;
  // The weight of a role that the configuration calls for.
  const Weight& at(const Role& role) const;

  const std::map<Role, Weight>& weights() const { return weights_; }
  const std::vector<SkippedTensor>& skipped() const { return skipped_; }
  const std::vector<Note>& notes() const { return notes_; }
  uint64_t published_bytes() const;

 private:
  friend class WeightMapBuilder;

  std::map<Role, Weight> weights_;
  std::vector<SkippedTensor> skipped_;
  std::vector<Note> notes_;
};

// Builds the map from headers alone; no weight is read. The records stay borrowed from `table`.
// Errors: kInvalidInput with the names of missing, doubled, unknown or misshapen tensors; kUnsupported for a
// quantisation that this version cannot read, with what it can.
WeightMap make_weight_map(const TensorTable& table, const ModelConfig& config,
                          const QuantizationConfig& quantization);

}  // namespace beryl::checkpoint
