#include "checkpoint/gguf_metadata.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/quote.h"

namespace beryl::checkpoint {
namespace {

constexpr uint64_t kLengthBytes = 8;  // before a string's bytes

std::string range_text(std::string_view what, auto min, auto max) {
  return fmt::format("{} from {} to {}", what, min, max);
}

}  // namespace

uint64_t gguf_type_bytes(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool:
      return 1;
    case GgufType::kU16:
    case GgufType::kI16:
      return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32:
      return 4;
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64:
      return 8;
    case GgufType::kString:
    case GgufType::kArray:
      break;
  }
  return 0;
}

std::string_view gguf_type_name(GgufType type) {
  constexpr std::string_view kNames[] = {"uint8",  "int8",    "uint16",  "int16",  "uint32",
                                         "int32",  "float32", "boolean", "string", "array",
                                         "uint64", "int64",   "float64"};
  const auto number = static_cast<size_t>(type);
  return number < std::size(kNames) ? kNames[number] : "?";
}

GgufMetadata::GgufMetadata(std::string source, std::string header,
                           std::map<std::string, GgufValue, std::less<>> values)
    : source_(std::move(source)), header_(std::move(header)), values_(std::move(values)) {}

// Little-endian, as the machines that Beryl runs on.
template <typename T>
T GgufMetadata::read(uint64_t offset) const {
  BERYL_CHECK(offset + sizeof(T) <= header_.size());
  T value;
  std::memcpy(&value, header_.data() + offset, sizeof(T));
  return value;
}

std::optional<int64_t> GgufMetadata::read_integer(GgufType type, uint64_t offset) const {
  switch (type) {
    case GgufType::kU8:
      return read<uint8_t>(offset);
    case GgufType::kI8:
      return read<int8_t>(offset);
    case GgufType::kU16:
      return read<uint16_t>(offset);
    case GgufType::kI16:
      return read<int16_t>(offset);
    case GgufType::kU32:
      return read<uint32_t>(offset);
    case GgufType::kI32:
      return read<int32_t>(offset);
    case GgufType::kI64:
      return read<int64_t>(offset);
    case GgufType::kU64: {
      const auto value = read<uint64_t>(offset);
      if (value <= INT64_MAX) return static_cast<int64_t>(value);
      return std::nullopt;
    }
    default:
      return std::nullopt;
  }
}

std::optional<double> GgufMetadata::read_number(GgufType type, uint64_t offset) const {
  if (type == GgufType::kF32) return read<float>(offset);
  if (type == GgufType::kF64) return read<double>(offset);
  const auto integer = read_integer(type, offset);
  if (!integer) return std::nullopt;
  return static_cast<double>(*integer);
}

std::string_view GgufMetadata::read_string(uint64_t offset) const {
  const auto length = read<uint64_t>(offset);
  return std::string_view(header_).substr(offset + kLengthBytes, length);
}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  const auto position = values_.find(key);
  return position == values_.end() ? nullptr : &position->second;
}

const GgufValue* GgufMetadata::find_scalar(std::string_view key, std::string_view expected) const {
  const GgufValue* value = find(key);
  if (value != nullptr && value->is_array) fail(key, expected);
  return value;
}

const GgufValue* GgufMetadata::find_array(std::string_view key, std::string_view expected) const {
  const GgufValue* value = find(key);
  if (value != nullptr && !value->is_array) fail(key, expected);
  return value;
}

std::optional<int64_t> GgufMetadata::find_integer(std::string_view key, int64_t min, int64_t max) const {
  const std::string expected = range_text("an integer", min, max);
  const GgufValue* value = find_scalar(key, expected);
  if (value == nullptr) return std::nullopt;
  const auto number = read_integer(value->type, value->offset);
  if (!number || *number < min || *number > max) fail(key, expected);
  return number;
}

std::optional<double> GgufMetadata::find_number(std::string_view key, double min, double max) const {
  const std::string expected = range_text("a number", min, max);
  const GgufValue* value = find_scalar(key, expected);
  if (value == nullptr) return std::nullopt;
  const auto number = read_number(value->type, value->offset);
  // Written so that a NaN fails.
  if (!number || !(*number >= min && *number <= max)) fail(key, expected);
  return number;
}

std::optional<bool> GgufMetadata::find_bool(std::string_view key) const {
  constexpr std::string_view kExpected = "true or false";
  const GgufValue* value = find_scalar(key, kExpected);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kBool) fail(key, kExpected);
  return read<uint8_t>(value->offset) != 0;
}

std::optional<std::string_view> GgufMetadata::find_string(std::string_view key) const {
  constexpr std::string_view kExpected = "a string";
  const GgufValue* value = find_scalar(key, kExpected);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kString) fail(key, kExpected);
  return read_string(value->offset);
}

std::optional<std::vector<int64_t>> GgufMetadata::find_integers(std::string_view key, int64_t min,
                                                                int64_t max) const {
  const std::string expected = range_text("an array of integers", min, max);
  const GgufValue* value = find_array(key, expected);
  if (value == nullptr) return std::nullopt;
  std::vector<int64_t> numbers;
  numbers.reserve(value->count);
  for (uint64_t i = 0; i < value->count; ++i) {
    const auto number = read_integer(value->type, value->offset + i * gguf_type_bytes(value->type));
    if (!number || *number < min || *number > max) fail(key, expected);
    numbers.push_back(*number);
  }
  return numbers;
}

std::optional<std::vector<bool>> GgufMetadata::find_bools(std::string_view key) const {
  constexpr std::string_view kExpected = "an array of booleans";
  const GgufValue* value = find_array(key, kExpected);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kBool) fail(key, kExpected);
  std::vector<bool> values;
  for (uint64_t i = 0; i < value->count; ++i) values.push_back(read<uint8_t>(value->offset + i) != 0);
  return values;
}

std::optional<std::vector<std::string_view>> GgufMetadata::find_strings(std::string_view key) const {
  constexpr std::string_view kExpected = "an array of strings";
  const GgufValue* value = find_array(key, kExpected);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kString) fail(key, kExpected);
  std::vector<std::string_view> strings;
  strings.reserve(value->count);
  uint64_t offset = value->offset;
  for (uint64_t i = 0; i < value->count; ++i) {
    strings.push_back(read_string(offset));
    offset += kLengthBytes + strings.back().size();
  }
  return strings;
}

int64_t GgufMetadata::integer(std::string_view key, int64_t min, int64_t max) const {
  const auto value = find_integer(key, min, max);
  if (!value) fail(key, range_text("an integer", min, max));
  return *value;
}

std::string GgufMetadata::value_text(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return "absent";
  if (value->is_array) {
    return fmt::format("an array of {} values of type {}", value->count, gguf_type_name(value->type));
  }
  if (value->type == GgufType::kString) return quote(read_string(value->offset), 60);
  if (value->type == GgufType::kBool) return read<uint8_t>(value->offset) != 0 ? "true" : "false";
  if (value->type == GgufType::kU64) return std::to_string(read<uint64_t>(value->offset));
  if (const auto integer = read_integer(value->type, value->offset)) return std::to_string(*integer);
  return fmt::format("{}", read_number(value->type, value->offset).value_or(0));
}

void GgufMetadata::fail(std::string_view key, std::string_view expected) const {
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("{}: {} is {}, expected {}", source_, key, value_text(key), expected),
              "the file is damaged or was made by an incompatible converter: download it again");
}

}  // namespace beryl::checkpoint
