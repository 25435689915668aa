// Makes GGUF files for tests, sound ones and others.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/check.h"
#include "checkpoint/ggml_types.h"
#include "checkpoint/gguf.h"

namespace beryl::checkpoint {

// Appends numbers and strings as the format writes them.
class GgufBytes {
 public:
  template <typename T>
  GgufBytes& number(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    text_.append(bytes, sizeof(T));
    return *this;
  }
  GgufBytes& string(std::string_view text) {
    number<uint64_t>(text.size());
    text_ += text;
    return *this;
  }
  GgufBytes& raw(std::string_view text) {
    text_ += text;
    return *this;
  }
  // Zeros up to a multiple of `alignment`.
  GgufBytes& pad(size_t alignment) {
    text_.resize((text_.size() + alignment - 1) / alignment * alignment);
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

template <typename T>
constexpr GgufType gguf_type_of() {
  if constexpr (std::is_same_v<T, bool>) return GgufType::kBool;
  if constexpr (std::is_same_v<T, float>) return GgufType::kF32;
  if constexpr (std::is_same_v<T, double>) return GgufType::kF64;
  if constexpr (std::is_same_v<T, uint8_t>) return GgufType::kU8;
  if constexpr (std::is_same_v<T, int8_t>) return GgufType::kI8;
  if constexpr (std::is_same_v<T, uint16_t>) return GgufType::kU16;
  if constexpr (std::is_same_v<T, int16_t>) return GgufType::kI16;
  if constexpr (std::is_same_v<T, uint32_t>) return GgufType::kU32;
  if constexpr (std::is_same_v<T, int32_t>) return GgufType::kI32;
  if constexpr (std::is_same_v<T, uint64_t>) return GgufType::kU64;
  return GgufType::kI64;
}

struct GgufTensorSpec {
  std::string name;
  std::vector<int64_t> shape;                      // outermost first
  uint32_t type = 0;                               // ggml's number; 0 is F32
  std::optional<std::string> data = std::nullopt;  // as many zeros as the type asks for when absent
  std::optional<uint64_t> offset = std::nullopt;   // where it belongs when absent
};

class GgufBuilder {
 public:
  uint32_t version = 3;
  size_t alignment = 32;  // what the data is laid out with; write general.alignment too
  std::optional<uint64_t> tensor_count;
  std::optional<uint64_t> key_count;

  template <typename T>
  GgufBuilder& number(std::string_view key, T value) {
    return begin(key, gguf_type_of<T>(), [&](GgufBytes& out) { out.number(value); });
  }
  GgufBuilder& string(std::string_view key, std::string_view value) {
    return begin(key, GgufType::kString, [&](GgufBytes& out) { out.string(value); });
  }
  template <typename T>
  GgufBuilder& numbers(std::string_view key, const std::vector<T>& values) {
    return begin(key, GgufType::kArray, [&](GgufBytes& out) {
      out.number(static_cast<uint32_t>(gguf_type_of<T>())).template number<uint64_t>(values.size());
      for (const T value : values) out.number(value);
    });
  }
  GgufBuilder& strings(std::string_view key, const std::vector<std::string>& values) {
    return begin(key, GgufType::kArray, [&](GgufBytes& out) {
      out.number(static_cast<uint32_t>(GgufType::kString)).number<uint64_t>(values.size());
      for (const std::string& value : values) out.string(value);
    });
  }
  // A key with any bytes behind its name.
  GgufBuilder& raw(std::string_view key, std::string_view bytes) {
    keys_.string(key).raw(bytes);
    ++keys_written_;
    return *this;
  }
  GgufBuilder& tensor(GgufTensorSpec spec) {
    tensors_.push_back(std::move(spec));
    return *this;
  }

  std::string build() const {
    GgufBytes file;
    file.raw("GGUF").number(version).number<uint64_t>(tensor_count.value_or(tensors_.size()));
    file.number<uint64_t>(key_count.value_or(keys_written_)).raw(keys_.text());
    GgufBytes data;
    for (const GgufTensorSpec& tensor : tensors_) {
      data.pad(alignment);
      file.string(tensor.name).number(static_cast<uint32_t>(tensor.shape.size()));
      for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) {
        file.number(static_cast<uint64_t>(*size));
      }
      file.number(tensor.type).number(tensor.offset.value_or(data.text().size()));
      data.raw(tensor.data ? *tensor.data : std::string(data_bytes(tensor), '\0'));
    }
    return file.pad(alignment).raw(data.pad(alignment).text()).text();
  }

 private:
  template <typename Write>
  GgufBuilder& begin(std::string_view key, GgufType type, Write write) {
    keys_.string(key).number(static_cast<uint32_t>(type));
    write(keys_);
    ++keys_written_;
    return *this;
  }

  static size_t data_bytes(const GgufTensorSpec& tensor) {
    const GgmlType* type = find_ggml_type(tensor.type);
    if (type == nullptr || !type->dtype) return 0;
    return ggml_tensor_bytes(*type->dtype, tensor.shape).value_or(0);
  }

  GgufBytes keys_;
  uint64_t keys_written_ = 0;
  std::vector<GgufTensorSpec> tensors_;
};

// Parses a file that is in memory.
inline GgufHeader parse_gguf(const std::string& file, const GgufLimits& limits = {}) {
  const auto read = [&](uint64_t offset, std::span<std::byte> out) {
    BERYL_CHECK(offset + out.size() <= file.size());
    std::memcpy(out.data(), file.data() + offset, out.size());
  };
  return parse_gguf_header(read, file.size(), "metadata", limits);
}

}  // namespace beryl::checkpoint
