// Modules of made-up tensors without data, for tests of dialects.
#pragma once

#include <gmock/gmock.h>

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "checkpoint/dialects/dialect.h"

namespace beryl::checkpoint {

class ModuleForTests {
 public:
  // A published name, "model.language_model.layers.0.mlp.up_proj"; fused experts may be named.
  explicit ModuleForTests(std::string name) : name_(std::move(name)) {}

  // Adds a tensor, or replaces it. Suffixes are as Module has them.
  ModuleForTests& put(const std::string& suffix, formats::DType dtype, std::vector<int64_t> shape) {
    remove(suffix);
    const formats::DTypeBlock block = formats::dtype_block(dtype);
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    const auto bytes = static_cast<uint64_t>(count / block.elements * block.bytes);
    records_.push_back({.name = tensor_name(suffix),
                        .dtype = dtype,
                        .shape = std::move(shape),
                        .range = {.offset = next_offset_, .bytes = bytes}});
    next_offset_ += bytes;
    return *this;
  }
  ModuleForTests& remove(const std::string& suffix) {
    std::erase_if(records_, [&](const TensorRecord& record) { return record.name == tensor_name(suffix); });
    return *this;
  }

  // Borrows the tensors.
  Module module() const {
    Module result{.name = name_, .role = parse_tensor_name(name_).role, .tensors = {}};
    for (const TensorRecord& record : records_) {
      result.tensors.emplace_back(parse_tensor_name(record.name).suffix, &record);
    }
    return result;
  }

 private:
  std::string tensor_name(const std::string& suffix) const {
    const Part part = parse_tensor_name(name_).role.part;
    const bool is_fused = part == Part::kFusedExpertsGateUp || part == Part::kFusedExpertsDown;
    return suffix.empty() ? name_ : name_ + (is_fused ? "_" : ".") + suffix;
  }

  std::string name_;
  std::deque<TensorRecord> records_;
  uint64_t next_offset_ = 1000;  // of data in the file
};

// Expects that reading the module fails with this code and these words in message or remedy.
inline void expect_module_refused(const Dialect& dialect, const Module& module, const ModuleShape& shape,
                                  const QuantizationConfig& quantization, ErrorCode code,
                                  const std::vector<std::string>& parts) {
  try {
    dialect.read(module, shape, quantization);
    ADD_FAILURE() << "accepted; expected: " << (parts.empty() ? "" : parts.front());
  } catch (const Error& error) {
    const std::string text = error.message() + " | " + error.help();
    EXPECT_EQ(error.code(), code) << text;
    for (const std::string& part : parts) EXPECT_THAT(text, testing::HasSubstr(part));
  }
}

}  // namespace beryl::checkpoint
