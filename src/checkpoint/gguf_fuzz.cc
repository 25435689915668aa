// Fuzzes the GGUF reader with whole files. Property: what is accepted keeps every rule of the format, all of
// its values can be read, and what follows from them is refused with an Error or used.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <span>
#include <string_view>

#include "base/check.h"
#include "base/error.h"
#include "checkpoint/ggml_types.h"
#include "checkpoint/gguf.h"
#include "checkpoint/gguf_config.h"
#include "checkpoint/gguf_names.h"

namespace beryl::checkpoint {
namespace {

void check_tensors(const GgufHeader& header, uint64_t file_bytes) {
  std::set<std::string_view> names;
  uint64_t covered = 0;
  for (const TensorRecord& tensor : header.tensors) {
    BERYL_CHECK(names.insert(tensor.name).second && !tensor.name.empty() &&
                tensor.name.size() <= kTensorNameBytesMax);
    BERYL_CHECK(ggml_tensor_bytes(tensor.dtype, tensor.shape) == tensor.range.bytes &&
                tensor.range.bytes > 0);
    BERYL_CHECK(tensor.range.offset >= covered && tensor.range.bytes <= file_bytes &&
                tensor.range.offset <= file_bytes - tensor.range.bytes);
    covered = tensor.range.offset + tensor.range.bytes;
    if (const auto name = name_from_gguf(tensor.name)) BERYL_CHECK(name_to_gguf(*name) == tensor.name);
  }
}

// Reads each value as everything that it might be.
void read_values(const GgufMetadata& metadata) {
  const auto try_to = [](auto read) {
    try {
      read();
    } catch (const Error& error) {
      BERYL_CHECK(error.message().size() < 2'000);
    }
  };
  for (const auto& [key, value] : metadata.values()) {
    try_to([&] { metadata.find_integer(key, INT64_MIN, INT64_MAX); });
    try_to([&] { metadata.find_number(key, -1e300, 1e300); });
    try_to([&] { metadata.find_bool(key); });
    try_to([&] { metadata.find_string(key); });
    try_to([&] { metadata.find_bools(key); });
    try_to([&] {
      const auto numbers = metadata.find_integers(key, INT64_MIN, INT64_MAX);
      BERYL_CHECK(numbers->size() == value.count);
    });
    try_to([&] {
      const auto strings = metadata.find_strings(key);
      BERYL_CHECK(strings->size() == value.count);
    });
  }
}

void check_config(const ModelConfig& config) {
  BERYL_CHECK(!config.layers.empty() && config.heads > 0 && config.vocabulary_size > 0);
  for (size_t i = 0; i < config.layers.size(); ++i) {
    const LayerConfig& layer = config.layers[i];
    BERYL_CHECK(layer.head_dim % 2 == 0 && config.heads % layer.kv_heads == 0);
    BERYL_CHECK(layer.kv_source >= 0 && layer.kv_source <= static_cast<int64_t>(i));
    const LayerConfig& source = config.layers[static_cast<size_t>(layer.kv_source)];
    BERYL_CHECK(source.attention == layer.attention && source.kv_heads == layer.kv_heads);
  }
}

}  // namespace
}  // namespace beryl::checkpoint

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beryl::checkpoint;
  const auto read = [&](uint64_t offset, std::span<std::byte> out) {
    BERYL_CHECK(offset <= size && out.size() <= size - offset);
    if (!out.empty()) std::memcpy(out.data(), data + offset, out.size());
  };
  try {
    const GgufHeader header = parse_gguf_header(read, size, "metadata");
    check_tensors(header, size);
    read_values(header.metadata);
    const ModelConfig config = read_model_config(header.metadata, header.tensors);
    check_config(config);
    read_generation_config(header.metadata, config.vocabulary_size);
  } catch (const beryl::Error& error) {
    BERYL_CHECK(error.message().size() < 2'000);
  }
  return 0;
}
