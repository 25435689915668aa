// The GGUF format, versions 2 and 3, read strictly.
//
// A file is, all numbers little-endian: "GGUF", the version, the number of tensors, the number of keys; each
// key with its type and value; for each tensor its name, dimensions (innermost first), type and offset into
// the data; zeros up to the alignment; and the data. Each tensor's data starts at a multiple of the alignment
// (general.alignment, 32 when absent).
//
// As with safetensors, all that the format forbids is refused, and so is all that no real writer does: keys
// or names that occur twice, arrays of arrays, booleans other than 0 and 1, empty tensors, data that overlaps
// or leaves a gap beyond the padding, bytes behind the last tensor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/files.h"
#include "checkpoint/gguf_metadata.h"
#include "checkpoint/limits.h"
#include "checkpoint/tensor_table.h"

namespace beryl::checkpoint {

struct GgufHeader {
  GgufMetadata metadata;
  // In the order of their bytes in the file. Names are the file's own; shapes are outermost first, as
  // everywhere in Beryl.
  std::vector<TensorRecord> tensors;
};

// Fills `out` from byte `offset` of a file; is only asked for bytes that the file has.
using ReadBytes = std::function<void(uint64_t offset, std::span<std::byte> out)>;

// Parses the header of a file of `file_bytes` bytes, reading no more than about as much as the header takes.
// The ranges in the result have no file. `source` names it in the errors of GgufMetadata. Work and memory are
// linear in the header, up to sorting. Errors: kInvalidInput, and kUnsupported for other versions of the
// format and types of tensors that Beryl does not read; they name the key or tensor.
GgufHeader parse_gguf_header(const ReadBytes& read, uint64_t file_bytes, const std::string& source,
                             const GgufLimits& limits = {});

// Reads the header of `file`. The ranges in the result are ranges of `file`, which must outlive them; all lie
// inside it. Errors: as above and as File::read; they name the file.
GgufHeader read_gguf_header(const File& file, const GgufLimits& limits = {});

}  // namespace beryl::checkpoint
