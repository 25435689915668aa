// Unquantised elements: bf16, IEEE f16 and f32, little-endian. value = element, exactly.
#pragma once

#include <cstddef>
#include <span>

#include "formats/dtype.h"

namespace beryl::formats {

// True for the three types that decode_plain() reads.
bool is_plain(DType dtype);

// Decodes out.size() elements. `bytes` need not be aligned and holds exactly that many elements.
void decode_plain(DType dtype, std::span<const std::byte> bytes, std::span<float> out);

}  // namespace beryl::formats
