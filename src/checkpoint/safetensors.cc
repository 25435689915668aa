#include "checkpoint/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/quote.h"
#include "checkpoint/safetensors_json.h"

namespace beryl::checkpoint {
namespace {

constexpr std::string_view kIncompleteHelp = "the download is incomplete: download the file again";
constexpr std::string_view kDamagedHelp = "the file is damaged: download it again";

[[noreturn]] void refuse(std::string message, std::string_view help = kDamagedHelp) {
  throw Error(ErrorCode::kInvalidInput, std::move(message), std::string(help));
}

// Files that end up under the name of a weights file, by their first bytes.
struct ForeignKind {
  std::string_view magic;
  std::string_view what;
  std::string_view help;
};

constexpr std::array<ForeignKind, 4> kForeignKinds = {{
    {"GGUF", "a GGUF file", "give a checkpoint in safetensors files"},
    {"version https", "a Git LFS pointer, not the weights themselves",
     "fetch the weights: run 'git lfs pull' in the model directory"},
    {"PK\x03\x04", "a zip archive, probably of pickled weights",
     "give a checkpoint in safetensors files; pickled weights can run code and are never read"},
    {"<", "a web page or XML, not weights", "the download failed: download the file again"},
}};

void refuse_foreign_file(std::string_view start) {
  for (const ForeignKind& kind : kForeignKinds) {
    if (start.starts_with(kind.magic)) {
      refuse(fmt::format("not a safetensors file: this is {}", kind.what), kind.help);
    }
  }
}

void refuse_repeated_names(std::span<const TensorRecord> tensors) {
  // Sorting costs the same for every choice of names; a hash table does not.
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const TensorRecord& tensor : tensors) names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  const auto repeated = std::adjacent_find(names.begin(), names.end());
  if (repeated != names.end()) refuse(fmt::format("tensor {} appears twice", quote(*repeated)));
}

// Sorts the tensors by their place and proves that their ranges cover the data exactly once.
void check_ranges(std::vector<TensorRecord>& tensors, uint64_t data_bytes) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorRecord& a, const TensorRecord& b) {
    return std::tie(a.range.offset, a.range.bytes, a.name) < std::tie(b.range.offset, b.range.bytes, b.name);
  });
  uint64_t data_end = 0;
  for (const TensorRecord& tensor : tensors) {
    // The header parser computed bytes as end - offset, so the sum is the end as it stands in the file.
    data_end = std::max(data_end, tensor.range.offset + tensor.range.bytes);
  }
  if (data_end > data_bytes) {
    refuse(fmt::format("{} bytes are missing at the end: the tensors take {} bytes, {} are there",
                       data_end - data_bytes, data_end, data_bytes),
           kIncompleteHelp);
  }
  const TensorRecord* previous = nullptr;
  uint64_t covered = 0;
  for (const TensorRecord& tensor : tensors) {
    const uint64_t begin = tensor.range.offset;
    if (begin < covered) {
      refuse(fmt::format("tensor {} starts at byte {} of the data, inside tensor {}", quote(tensor.name),
                         begin, quote(previous->name)));
    }
    if (begin > covered) {
      refuse(fmt::format("bytes {} to {} of the data, before tensor {}, belong to no tensor", covered, begin,
                         quote(tensor.name)));
    }
    covered = begin + tensor.range.bytes;
    previous = &tensor;
  }
  if (covered < data_bytes) {
    refuse(fmt::format("{} bytes at the end of the file belong to no tensor", data_bytes - covered));
  }
}

uint64_t little_endian(std::span<const std::byte> bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i) value |= std::to_integer<uint64_t>(bytes[i]) << (8 * i);
  return value;
}

}  // namespace

std::optional<uint64_t> tensor_bytes(formats::DType dtype, std::span<const int64_t> shape) {
  const auto count = element_count(shape);
  if (!count) return std::nullopt;
  const auto bits = checked_mul(*count, static_cast<uint64_t>(formats::dtype_bits(dtype)));
  if (!bits || *bits % 8 != 0) return std::nullopt;
  return *bits / 8;
}

uint64_t parse_safetensors_prefix(std::span<const std::byte> prefix, uint64_t file_bytes,
                                  const SafetensorsLimits& limits) {
  if (file_bytes == 0) refuse("the file is empty", kIncompleteHelp);
  const std::string_view start(reinterpret_cast<const char*>(prefix.data()), prefix.size());
  if (file_bytes < kSafetensorsPrefixBytes || prefix.size() < kSafetensorsPrefixBytes) {
    refuse_foreign_file(start);
    refuse(fmt::format("the file has {} bytes, fewer than the 8 of the header's length", file_bytes),
           kIncompleteHelp);
  }
  const uint64_t claimed_length = little_endian(prefix.first(kSafetensorsPrefixBytes));
  const uint64_t available = file_bytes - kSafetensorsPrefixBytes;
  if (claimed_length > available) {
    if (claimed_length > kHeaderBytesHardMax) {
      // No safetensors file, whole or cut, starts like this.
      refuse_foreign_file(start);
      refuse(fmt::format("not a safetensors file: its header would take {} bytes, the file has {}",
                         claimed_length, file_bytes));
    }
    refuse(fmt::format("the file ends inside its header: {} of {} bytes are missing",
                       claimed_length - available, claimed_length),
           kIncompleteHelp);
  }
  const uint64_t allowed = std::min(limits.header_bytes_max, kHeaderBytesHardMax);
  if (claimed_length > allowed) {
    refuse(fmt::format("the header takes {} bytes, at most {} are allowed", claimed_length, allowed));
  }
  return claimed_length;
}

SafetensorsHeader parse_safetensors_header(std::string_view header, uint64_t data_bytes,
                                           const SafetensorsLimits& limits) {
  SafetensorsHeader result = parse_safetensors_json(header, limits);
  refuse_repeated_names(result.tensors);
  check_ranges(result.tensors, data_bytes);
  return result;
}

SafetensorsHeader read_safetensors_header(const File& file, const SafetensorsLimits& limits) {
  return with_context(fmt::format("'{}'", file.path().string()), [&] {
    std::array<std::byte, 32> start{};
    const auto prefix = std::span(start).first(std::min<uint64_t>(start.size(), file.size()));
    file.read(0, prefix);
    const uint64_t length = parse_safetensors_prefix(prefix, file.size(), limits);
    std::string text(length, '\0');
    file.read(kSafetensorsPrefixBytes, std::as_writable_bytes(std::span(text)));

    const uint64_t data_offset = kSafetensorsPrefixBytes + length;
    SafetensorsHeader header = parse_safetensors_header(text, file.size() - data_offset, limits);
    for (TensorRecord& tensor : header.tensors) {
      tensor.range.file = &file;
      tensor.range.offset += data_offset;
    }
    return header;
  });
}

}  // namespace beryl::checkpoint
