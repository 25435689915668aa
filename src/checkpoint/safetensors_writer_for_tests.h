// Makes safetensors files for tests: well-formed ones from tensors, and any header text with any data.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/safetensors.h"
#include "formats/dtype.h"

namespace beryl::checkpoint {

// A tensor to write. Without `bytes` the data is as long as type and shape ask, each byte 'a' + index % 26.
struct TensorSpec {
  std::string name;
  formats::DType dtype = formats::DType::kBf16;
  std::vector<int64_t> shape;
  std::optional<std::string> bytes = std::nullopt;
};

// The bytes of a file with this header and data; no rule of the format is applied to them.
inline std::string make_raw_safetensors(std::string_view header, std::string_view data = {}) {
  std::string file;
  for (size_t i = 0; i < kSafetensorsPrefixBytes; ++i) {
    file.push_back(static_cast<char>((uint64_t{header.size()} >> (8 * i)) & 0xff));
  }
  file += header;
  file += data;
  return file;
}

// The header text for these tensors; ranges count from the start of the data.
inline std::string make_safetensors_header(std::span<const TensorRecord> tensors,
                                           const std::map<std::string, std::string>& metadata = {}) {
  std::string header = "{";
  if (!metadata.empty()) header += "\"__metadata__\":" + nlohmann::json(metadata).dump() + ",";
  for (const TensorRecord& tensor : tensors) {
    header +=
        fmt::format(R"({}:{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}},)",
                    nlohmann::json(tensor.name).dump(), formats::dtype_name(tensor.dtype),
                    shape_text(tensor.shape), tensor.range.offset, tensor.range.offset + tensor.range.bytes);
  }
  if (header.size() > 1) header.pop_back();
  return header + "}";
}

// The bytes of a well-formed file with these tensors in this order.
inline std::string make_safetensors(const std::vector<TensorSpec>& specs,
                                    const std::map<std::string, std::string>& metadata = {}) {
  std::vector<TensorRecord> tensors;
  std::string data;
  for (const TensorSpec& spec : specs) {
    const size_t begin = data.size();
    if (spec.bytes) {
      data += *spec.bytes;
    } else {
      const uint64_t count = tensor_bytes(spec.dtype, spec.shape).value();
      for (uint64_t i = 0; i < count; ++i) data.push_back(static_cast<char>('a' + i % 26));
    }
    tensors.push_back({.name = spec.name,
                       .dtype = spec.dtype,
                       .shape = spec.shape,
                       .range = {.file = nullptr, .offset = begin, .bytes = data.size() - begin}});
  }
  return make_raw_safetensors(make_safetensors_header(tensors, metadata), data);
}

}  // namespace beryl::checkpoint
