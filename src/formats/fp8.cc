#include "formats/fp8.h"

#include <cstdint>

#include "base/check.h"
#include "base/number_types.h"

namespace beryl::formats {

void decode_fp8_row(std::span<const std::byte> codes, float scale, std::span<float> out) {
  BERYL_CHECK(codes.size() == out.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = kE4m3Values[static_cast<uint8_t>(codes[i])] * scale;
}

}  // namespace beryl::formats
