// Changes one of the small checkpoints in testdata/ in memory, then writes and opens it: for tests of damage.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/temporary_directory_for_tests.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/limits.h"
#include "checkpoint/safetensors_writer_for_tests.h"

namespace beryl::checkpoint {

class CheckpointEditor {
 public:
  // `name` is a folder of testdata/checkpoints.
  explicit CheckpointEditor(const std::string& name) {
    const std::filesystem::path source =
        std::filesystem::path(BERYL_SOURCE_DIR) / "testdata/checkpoints" / name;
    config = parse_json(read_text_file(source / "config.json", kConfigBytesMax), "config.json");
    const ShardSet shards(source);
    for (const TensorRecord& record : shards.tensors().records()) {
      std::vector<std::byte> bytes(record.range.bytes);
      record.range.file->read(record.range.offset, bytes);
      tensors[record.name] = {
          .name = record.name,
          .dtype = record.dtype,
          .shape = record.shape,
          .bytes = std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())};
    }
  }

  nlohmann::json config;
  std::map<std::string, TensorSpec> tensors;  // by name

  nlohmann::json& text() { return config.at("text_config"); }
  nlohmann::json& quantization() { return config.at("quantization_config"); }
  TensorSpec& at(const std::string& name) { return tensors.at(name); }
  void remove(const std::string& name) { ASSERT_EQ(tensors.erase(name), 1U) << name; }
  // Adds or replaces a tensor; its bytes are of no meaning.
  void put(const std::string& name, formats::DType dtype, std::vector<int64_t> shape) {
    tensors[name] = {.name = name, .dtype = dtype, .shape = std::move(shape)};
  }
  void copy(const std::string& from, const std::string& to) {
    TensorSpec copied = at(from);
    copied.name = to;
    tensors[to] = std::move(copied);
  }
  void rename(const std::string& from, const std::string& to) {
    copy(from, to);
    remove(from);
  }

  Checkpoint open() const {
    std::vector<TensorSpec> specs;
    for (const auto& [name, spec] : tensors) specs.push_back(spec);
    directory_.write("config.json", config.dump());
    directory_.write("model.safetensors", make_safetensors(specs));
    return Checkpoint::open(directory_.path());
  }

  const TemporaryDirectory& directory() const { return directory_; }

 private:
  TemporaryDirectory directory_;
};

// The code, message and remedy with which a damaged checkpoint is refused.
struct Refusal {
  ErrorCode code = ErrorCode::kIo;
  std::string text;
};

inline Refusal refusal_of(const CheckpointEditor& editor) {
  try {
    editor.open();
  } catch (const Error& error) {
    return {error.code(), error.message() + " | " + error.help()};
  }
  ADD_FAILURE() << "the checkpoint is accepted";
  return {};
}

}  // namespace beryl::checkpoint
