// The safetensors format, read strictly.
//
// A file is: the length of the header as 8 little-endian bytes; the header, a JSON object
//   {"__metadata__": {"format": "pt"}, "a.weight": {"dtype": "BF16", "shape": [2,3], "data_offsets": [0,12]},
//   ...}
// possibly followed by spaces; and the data. Offsets count from the first byte of the data.
//
// Readers disagree about what is malformed, and a file that two programs read differently is worse than none.
// So everything that the format forbids is refused, and everything that it leaves open and no real writer
// does: names that occur twice however they are escaped, unknown or repeated fields, bytes before or after
// the object, numbers that are not plain whole numbers, control characters in names, and data ranges that do
// not cover the file exactly once. Alignment is not promised by the format: read values by copying.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "checkpoint/limits.h"
#include "checkpoint/tensor_table.h"
#include "formats/dtype.h"

namespace beryl::checkpoint {

struct SafetensorsHeader {
  // In the order of their bytes in the file; empty tensors before the tensor that starts at the same byte.
  std::vector<TensorRecord> tensors;
  // The strings under "__metadata__".
  std::map<std::string, std::string> metadata;
};

// Bytes that a tensor of this type and shape takes, or nothing when it is no whole number of bytes or the
// product of the non-zero dimensions does not fit in 63 bits, or the bits not in 64. The only place where a
// tensor's size is computed.
std::optional<uint64_t> tensor_bytes(formats::DType dtype, std::span<const int64_t> shape);

// Bytes before the header: its length.
inline constexpr uint64_t kSafetensorsPrefixBytes = 8;

// Length of the header of a file of `file_bytes` bytes, from its first bytes (as many of the first 32 as
// there are). Errors: kInvalidInput when the file is too short, is another kind of file, or the length is
// beyond the file or the limit.
uint64_t parse_safetensors_prefix(std::span<const std::byte> prefix, uint64_t file_bytes,
                                  const SafetensorsLimits& limits = {});

// Parses `header`, which `data_bytes` bytes of data follow. The ranges in the result count from the start of
// the data and have no file. Work and memory are linear in the header, up to the sorting of the tensors.
// Errors: kInvalidInput, and kUnsupported for an unknown dtype; they name the tensor.
SafetensorsHeader parse_safetensors_header(std::string_view header, uint64_t data_bytes,
                                           const SafetensorsLimits& limits = {});

// Reads the header of `file`. The ranges in the result are ranges of `file`, which must outlive them; all lie
// inside it. Errors: as above and as File::read; they name the file.
SafetensorsHeader read_safetensors_header(const File& file, const SafetensorsLimits& limits = {});

}  // namespace beryl::checkpoint
