#include "checkpoint/gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <tuple>
#include <utility>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/quote.h"
#include "checkpoint/ggml_types.h"
#include "checkpoint/gguf_cursor.h"

namespace beryl::checkpoint {
namespace {

constexpr std::string_view kIncompleteHelp = "the download is incomplete: download the file again";
constexpr std::string_view kDamagedHelp = "the file is damaged: download it again";
constexpr std::string_view kMagic = "GGUF";
constexpr std::string_view kAlignmentKey = "general.alignment";
constexpr int64_t kAlignmentDefault = 32;
constexpr int64_t kAlignmentMax = 1 << 20;
constexpr size_t kGgmlRankMax = 4;

[[noreturn]] void refuse(std::string message, std::string_view help = kDamagedHelp) {
  throw Error(ErrorCode::kInvalidInput, std::move(message), std::string(help));
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
}

// The first multiple of `alignment` from `value` on.
std::optional<uint64_t> align(uint64_t value, uint64_t alignment) {
  const auto sum = checked_add(value, alignment - 1);
  if (!sum) return std::nullopt;
  return *sum / alignment * alignment;
}

class HeaderParser {
 public:
  HeaderParser(const ReadBytes& read, uint64_t file_bytes, const std::string& source,
               const GgufLimits& limits)
      : cursor_(read, file_bytes, limits.header_bytes_max), source_(source), limits_(limits) {}

  GgufHeader parse() {
    parse_magic();
    const auto tensor_count = cursor_.number<uint64_t>();
    const auto key_count = cursor_.number<uint64_t>();
    check_count("tensors", tensor_count, limits_.tensors_max);
    check_count("keys", key_count, limits_.keys_max);
    for (uint64_t i = 0; i < key_count; ++i) parse_key();
    for (uint64_t i = 0; i < tensor_count; ++i) parse_tensor();
    refuse_repeated_names();

    const uint64_t end = cursor_.position();
    GgufHeader header = {.metadata = GgufMetadata(source_, cursor_.take_header(), std::move(values_)),
                         .tensors = std::move(tensors_)};
    place_tensors(end, alignment_of(header.metadata), header.tensors);
    return header;
  }

 private:
  void parse_magic() {
    if (cursor_.file_bytes() == 0) refuse("the file is empty", kIncompleteHelp);
    std::string magic;
    for (size_t i = 0; i < kMagic.size(); ++i) magic.push_back(static_cast<char>(cursor_.number<uint8_t>()));
    if (magic == "vers") {
      refuse("not a GGUF file: this is a Git LFS pointer, not the weights themselves",
             "fetch the weights: run 'git lfs pull' in the model directory");
    }
    if (magic != kMagic) refuse(fmt::format("not a GGUF file: it begins with {}", quote(magic)));
    const auto version = cursor_.number<uint32_t>();
    if (version == 2 || version == 3) return;
    // A small number whose bytes stand in the other order.
    const bool is_big_endian = (version & 0xffff) == 0 && version != 0;
    throw Error(ErrorCode::kUnsupported,
                is_big_endian ? std::string("a GGUF file for big-endian machines")
                              : fmt::format("version {} of GGUF, expected 2 or 3", version),
                is_big_endian ? "use the file for little-endian machines"
                              : "convert the model again with a current converter");
  }

  void check_count(std::string_view what, uint64_t count, uint64_t max) const {
    if (count > max) refuse(fmt::format("{} {}, at most {} are allowed", count, what, max));
  }

  void parse_key() {
    const std::string key(cursor_.string(kTensorNameBytesMax));
    if (key.empty() || !is_printable(key)) refuse(fmt::format("{} is no name for a key", quote(key)));
    const GgufValue value = with_context(key, [&] { return parse_value(); });
    if (!values_.emplace(key, value).second) refuse(fmt::format("key '{}' is there twice", key));
  }

  GgufType parse_type() {
    const auto number = cursor_.number<uint32_t>();
    if (number > static_cast<uint32_t>(GgufType::kF64)) refuse(fmt::format("unknown type {}", number));
    return static_cast<GgufType>(number);
  }

  GgufValue parse_value() {
    GgufValue value = {.type = parse_type()};
    if (value.type == GgufType::kArray) {
      value.is_array = true;
      value.type = parse_type();
      if (value.type == GgufType::kArray) refuse("an array of arrays");
      value.count = cursor_.number<uint64_t>();
      check_count("elements", value.count, limits_.array_elements_max);
    }
    value.offset = cursor_.position();
    if (value.type == GgufType::kString) {
      for (uint64_t i = 0; i < value.count; ++i) cursor_.string(limits_.header_bytes_max);
    } else if (value.type == GgufType::kBool) {
      for (uint64_t i = 0; i < value.count; ++i) {
        const auto byte = cursor_.number<uint8_t>();
        if (byte > 1) refuse(fmt::format("a boolean of value {}", byte));
      }
    } else {
      // The counts are far below 2^63 / 8.
      cursor_.skip(value.count * gguf_type_bytes(value.type));
    }
    return value;
  }

  void parse_tensor() {
    TensorRecord tensor;
    tensor.name = cursor_.string(kTensorNameBytesMax);
    if (tensor.name.empty() || !is_printable(tensor.name)) {
      refuse(fmt::format("{} is no name for a tensor", quote(tensor.name)));
    }
    with_context(fmt::format("tensor '{}'", tensor.name), [&] { parse_tensor_body(tensor); });
    tensors_.push_back(std::move(tensor));
  }

  void parse_tensor_body(TensorRecord& tensor) {
    const auto rank = cursor_.number<uint32_t>();
    if (rank > kGgmlRankMax) refuse(fmt::format("{} dimensions, at most {} are allowed", rank, kGgmlRankMax));
    for (uint32_t i = 0; i < rank; ++i) {
      const auto size = cursor_.number<uint64_t>();
      if (size == 0 || size > INT64_MAX) {
        refuse(fmt::format("dimension {} is {}, expected 1 to {}", i, size, INT64_MAX));
      }
      tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(size));
    }
    const auto number = cursor_.number<uint32_t>();
    const GgmlType* type = find_ggml_type(number);
    if (type == nullptr || !type->dtype) {
      throw Error(ErrorCode::kUnsupported,
                  type == nullptr ? fmt::format("type {}, which is unknown", number)
                                  : fmt::format("type {}, which is not supported yet", type->name),
                  "supported: F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K");
    }
    tensor.dtype = *type->dtype;
    const auto bytes = ggml_tensor_bytes(tensor.dtype, tensor.shape);
    if (!bytes) {
      refuse(fmt::format("shape {} is too large, or its rows are no whole blocks of {} elements (type {})",
                         shape_text(tensor.shape), formats::dtype_block(tensor.dtype).elements, type->name));
    }
    tensor.range.bytes = *bytes;
    tensor.range.offset = cursor_.number<uint64_t>();
  }

  void refuse_repeated_names() const {
    std::vector<std::string_view> names;
    names.reserve(tensors_.size());
    for (const TensorRecord& tensor : tensors_) names.push_back(tensor.name);
    std::ranges::sort(names);
    const auto repeated = std::ranges::adjacent_find(names);
    if (repeated != names.end()) refuse(fmt::format("tensor '{}' is there twice", *repeated));
  }

  static uint64_t alignment_of(const GgufMetadata& metadata) {
    const int64_t alignment =
        metadata.find_integer(kAlignmentKey, 1, kAlignmentMax).value_or(kAlignmentDefault);
    if (!std::has_single_bit(static_cast<uint64_t>(alignment))) {
      metadata.fail(kAlignmentKey, "a power of two");
    }
    return static_cast<uint64_t>(alignment);
  }

  // Sorts the tensors by their place, proves that their ranges cover the data once, apart from the padding,
  // and makes their offsets count from the start of the file.
  void place_tensors(uint64_t header_end, uint64_t alignment, std::vector<TensorRecord>& tensors) const {
    std::ranges::sort(tensors, [](const TensorRecord& a, const TensorRecord& b) {
      return std::tie(a.range.offset, a.name) < std::tie(b.range.offset, b.name);
    });
    const uint64_t file_bytes = cursor_.file_bytes();
    // Both are below 2^33.
    const uint64_t data_start = (header_end + alignment - 1) / alignment * alignment;
    uint64_t end = 0;       // of the tensor before
    uint64_t expected = 0;  // the same with padding
    for (TensorRecord& tensor : tensors) {
      if (tensor.range.offset != expected) refuse_place(tensor, end, expected, alignment);
      const auto next = checked_add(tensor.range.offset, tensor.range.bytes);
      const auto padded = next ? align(*next, alignment) : std::nullopt;
      if (!padded || *padded > uint64_t{INT64_MAX} - data_start) {
        refuse(fmt::format("tensor '{}' ends beyond any file", tensor.name));
      }
      end = *next;
      expected = *padded;
      tensor.range.offset += data_start;
    }
    if (data_start + end > file_bytes && !tensors.empty()) {
      refuse(fmt::format("{} bytes are missing at the end: the tensors take {} bytes, {} are there",
                         data_start + end - file_bytes, end, file_bytes - std::min(file_bytes, data_start)),
             kIncompleteHelp);
    }
    if (file_bytes > data_start + expected) {
      refuse(fmt::format("{} bytes at the end of the file belong to no tensor",
                         file_bytes - data_start - expected));
    }
  }

  [[noreturn]] static void refuse_place(const TensorRecord& tensor, uint64_t end, uint64_t expected,
                                        uint64_t alignment) {
    const uint64_t offset = tensor.range.offset;
    const std::string start = fmt::format("tensor '{}' starts at byte {} of the data", tensor.name, offset);
    if (offset % alignment != 0) refuse(fmt::format("{}, which is no multiple of {}", start, alignment));
    if (offset < end) refuse(fmt::format("{}, inside another tensor", start));
    refuse(fmt::format("{}, expected {}: what lies between belongs to no tensor", start, expected));
  }

  GgufCursor cursor_;
  const std::string& source_;
  const GgufLimits& limits_;
  std::map<std::string, GgufValue, std::less<>> values_;
  std::vector<TensorRecord> tensors_;
};

}  // namespace

GgufHeader parse_gguf_header(const ReadBytes& read, uint64_t file_bytes, const std::string& source,
                             const GgufLimits& limits) {
  return HeaderParser(read, file_bytes, source, limits).parse();
}

GgufHeader read_gguf_header(const File& file, const GgufLimits& limits) {
  const std::string name = fmt::format("'{}'", file.path().filename().string());
  GgufHeader header = with_context(name, [&] {
    const auto read = [&](uint64_t offset, std::span<std::byte> out) { file.read(offset, out); };
    return parse_gguf_header(read, file.size(), "metadata", limits);
  });
  for (TensorRecord& tensor : header.tensors) tensor.range.file = &file;
  return header;
}

}  // namespace beryl::checkpoint
