// A dialect: one way in which files spell quantised weights. It turns the tensors of one module into
// QuantMatrix records, reads its own section of the configuration, and knows nothing of arithmetic.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint/quantization_config.h"
#include "checkpoint/role.h"
#include "checkpoint/tensor_table.h"
#include "formats/quant_matrix.h"

namespace beryl::checkpoint {

// All tensors of one module, by suffix.
struct Module {
  std::string name;  // as published, without suffix
  Role role;
  std::vector<std::pair<std::string, const TensorRecord*>> tensors;

  // Null when there is no tensor of that suffix.
  const TensorRecord* find(std::string_view suffix) const;
  // "weight, weight_scale": for messages.
  std::string suffix_list() const;
};

// What a module must turn out to be. With `experts` > 0 it holds that many matrices of rows x cols, one after
// another; else one.
struct ModuleShape {
  int64_t experts = 0;
  int64_t rows = 0;
  int64_t cols = 0;
  bool is_vector = false;  // [rows], where cols is 1

  int64_t matrix_count() const { return experts > 0 ? experts : 1; }
};

// The matrices of a module, and the tensors that they need not.
struct ModuleReading {
  std::vector<formats::QuantMatrix> matrices;                             // [matrix_count]
  std::vector<std::pair<const TensorRecord*, std::string_view>> skipped;  // with the reason
  // What the user should know; the same words of many modules are told once, with a count.
  std::vector<std::string_view> notes;
};

class Dialect {
 public:
  virtual ~Dialect() = default;

  virtual std::string_view name() const = 0;
  // The quant_method values in config.json that announce this dialect. Empty for dialects that need none:
  // unquantised weights, and those whose tensors speak for themselves.
  virtual std::span<const std::string_view> methods() const = 0;
  // What it reads, for messages: "FP8 (per tensor, per row)".
  virtual std::string_view capabilities() const = 0;

  // Reads the method's section of the configuration. Several dialects may own one method; each is asked, and
  // one of them gives the rules.
  virtual void read_rules(const ConfigFields& section, QuantizationRules& rules) const;
  // Whether it reads weights that the configuration describes so.
  virtual bool reads(const QuantizationScheme& /*scheme*/) const { return true; }
  // Whether the module's tensors are spelt this way. Decided from the tensors alone.
  virtual bool recognises(const Module& module) const = 0;
  // Reads a recognised module. Errors: kInvalidInput when a tensor is missing, of a wrong type or shape,
  // unknown, or not what the configuration says of the module; kUnsupported.
  virtual ModuleReading read(const Module& module, const ModuleShape& shape,
                             const QuantizationConfig& quantization) const = 0;

  bool owns_method(std::string_view method) const;
};

// All dialects, in the order in which they are asked. To add one: its file, and its line in dialects.cc.
std::span<const Dialect* const> all_dialects();

// "none; compressed-tensors: FP8 (...)": what can be read, for messages.
std::string supported_quantisations();

}  // namespace beryl::checkpoint
