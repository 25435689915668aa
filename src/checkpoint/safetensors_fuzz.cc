// Fuzzes the safetensors reader with whole files. Property: what is accepted keeps every rule of the format,
// and writing it again gives a header that reads the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string_view>

#include "base/check.h"
#include "base/error.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/safetensors_writer_for_tests.h"

namespace beryl::checkpoint {
namespace {

void check_rules(const SafetensorsHeader& header, uint64_t data_bytes) {
  std::set<std::string_view> names;
  uint64_t covered = 0;
  for (const TensorRecord& tensor : header.tensors) {
    BERYL_CHECK(names.insert(tensor.name).second && !tensor.name.empty() &&
                tensor.name.size() <= kTensorNameBytesMax);
    for (const char c : tensor.name) BERYL_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    BERYL_CHECK(tensor.shape.size() <= kTensorRankMax && tensor.range.offset == covered);
    BERYL_CHECK(tensor_bytes(tensor.dtype, tensor.shape) == tensor.range.bytes);
    covered += tensor.range.bytes;
  }
  BERYL_CHECK(covered == data_bytes);
}

void check_round_trip(const SafetensorsHeader& header, uint64_t data_bytes) {
  const SafetensorsHeader again =
      parse_safetensors_header(make_safetensors_header(header.tensors, header.metadata), data_bytes);
  BERYL_CHECK(again.metadata == header.metadata && again.tensors.size() == header.tensors.size());
  for (size_t i = 0; i < again.tensors.size(); ++i) {
    const TensorRecord& a = again.tensors[i];
    const TensorRecord& b = header.tensors[i];
    BERYL_CHECK(a.name == b.name && a.dtype == b.dtype && a.shape == b.shape);
  }
}

}  // namespace
}  // namespace beryl::checkpoint

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beryl::checkpoint;
  const std::span<const std::byte> file = std::as_bytes(std::span(data, size));
  try {
    const uint64_t length = parse_safetensors_prefix(file.first(std::min<size_t>(size, 32)), size);
    const std::string_view text(reinterpret_cast<const char*>(data) + kSafetensorsPrefixBytes, length);
    const uint64_t data_bytes = size - kSafetensorsPrefixBytes - length;
    const SafetensorsHeader header = parse_safetensors_header(text, data_bytes);
    check_rules(header, data_bytes);
    check_round_trip(header, data_bytes);
  } catch (const beryl::Error& error) {
    BERYL_CHECK(!error.help().empty() && error.message().size() < 2'000);
  }
  return 0;
}
