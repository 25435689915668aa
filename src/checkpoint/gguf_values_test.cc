// Blocks of every type against the values that the `gguf` package's dequantiser gave them: bit for bit.
// tools/make_gguf_vectors.py writes the file.

#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "checkpoint/dialects/gguf.h"
#include "checkpoint/dialects/plain.h"
#include "checkpoint/gguf.h"
#include "formats/decoder.h"

namespace beryl::checkpoint {
namespace {

std::vector<float> decode(const TensorRecord& tensor) {
  Module module{.name = "model.layers.0.mlp.up_proj", .role = {Part::kUp, 0, -1}, .tensors = {}};
  module.tensors.emplace_back("weight", &tensor);
  const ModuleShape shape = {.rows = tensor.shape[0], .cols = tensor.shape[1]};
  const GgufDialect blocks;
  const PlainDialect plain;
  EXPECT_NE(blocks.recognises(module), plain.recognises(module)) << tensor.name;
  const Dialect& dialect = blocks.recognises(module) ? static_cast<const Dialect&>(blocks) : plain;
  const ModuleReading reading = dialect.read(module, shape, QuantizationConfig());
  formats::RowDecoder decoder(reading.matrices.at(0));
  std::vector<float> values(static_cast<size_t>(shape.rows * shape.cols));
  decoder.decode(0, values);
  return values;
}

TEST(GgufValuesTest, EveryTypeDecodesAsItsPackageDoes) {
  const File file(BERYL_SOURCE_DIR "/testdata/gguf/blocks.gguf");
  const GgufHeader header = read_gguf_header(file);
  TensorTable table;
  for (const TensorRecord& tensor : header.tensors) table.add(tensor);
  size_t types = 0;
  for (const TensorRecord& tensor : table.records()) {
    const TensorRecord* reference = table.find(tensor.name + ".values");
    if (reference == nullptr) continue;
    ++types;
    EXPECT_EQ(formats::dtype_name(tensor.dtype), tensor.name);
    std::vector<float> expected(reference->range.bytes / sizeof(float));
    file.read(reference->range.offset, std::as_writable_bytes(std::span(expected)));
    const std::vector<float> found = decode(tensor);
    ASSERT_EQ(found.size(), expected.size()) << tensor.name;
    size_t nonzero = 0;
    for (size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>(found[i]), std::bit_cast<uint32_t>(expected[i]))
          << tensor.name << " at " << i << ": " << found[i] << ", expected " << expected[i];
      if (found[i] != 0) ++nonzero;
    }
    EXPECT_GT(nonzero, found.size() / 2) << tensor.name;
  }
  EXPECT_EQ(types, 11U);
}

}  // namespace
}  // namespace beryl::checkpoint
