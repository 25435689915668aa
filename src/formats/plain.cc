#include "formats/plain.h"

#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "base/number_types.h"

namespace beryl::formats {
namespace {

template <typename Code, typename Decode>
void decode_each(std::span<const std::byte> bytes, std::span<float> out, Decode decode) {
  BERYL_CHECK(bytes.size() == out.size() * sizeof(Code));
  for (size_t i = 0; i < out.size(); ++i) {
    Code code;
    std::memcpy(&code, bytes.data() + i * sizeof(Code), sizeof(Code));
    out[i] = decode(code);
  }
}

}  // namespace

bool is_plain(DType dtype) {
  return dtype == DType::kBf16 || dtype == DType::kF16 || dtype == DType::kF32;
}

void decode_plain(DType dtype, std::span<const std::byte> bytes, std::span<float> out) {
  BERYL_CHECK(is_plain(dtype));
  if (dtype == DType::kBf16) {
    decode_each<uint16_t>(bytes, out, bf16_to_float);
  } else if (dtype == DType::kF16) {
    decode_each<uint16_t>(bytes, out, widen_f16);
  } else {
    decode_each<float>(bytes, out, [](float value) { return value; });
  }
}

}  // namespace beryl::formats
