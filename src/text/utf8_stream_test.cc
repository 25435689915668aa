#include "text/utf8_stream.h"

#include <gtest/gtest.h>

#include <charconv>

#include "base/files.h"
#include "base/json.h"

namespace beryl::text {
namespace {

std::string unhex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    uint8_t byte = 0;
    std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
    bytes.push_back(static_cast<char>(byte));
  }
  return bytes;
}

// utf8_vectors.json comes from another decoder that follows the same recommendation.
TEST(Utf8Stream, ReplacesByMaximalSubpart) {
  const std::string path = BERYL_SOURCE_DIR "/testdata/tokenizer/utf8_vectors.json";
  const auto vectors = parse_json(read_text_file(path, 1 << 20), path);
  ASSERT_GT(vectors.size(), 1000U);
  for (const auto& vector : vectors) {
    Utf8Stream stream;
    std::string out;
    for (const char byte : unhex(vector["bytes"].get<std::string>())) {
      stream.push(static_cast<uint8_t>(byte), out);
      ASSERT_FALSE(find_invalid_utf8(out)) << vector["bytes"];
    }
    stream.flush(out);
    EXPECT_EQ(out, vector["text"].get<std::string>()) << vector["bytes"];
    EXPECT_FALSE(stream.has_pending());
  }
}

TEST(Utf8Stream, HoldsACharacterBackUntilItsLastByte) {
  for (const std::string_view character : {"\u00E9", "\u20AC", "\U0001F999"}) {
    Utf8Stream stream;
    std::string out;
    for (const char byte : character) {
      EXPECT_EQ(out, "");
      stream.push(static_cast<uint8_t>(byte), out);
    }
    EXPECT_EQ(out, character);
    EXPECT_FALSE(stream.has_pending());
  }
}

TEST(Utf8Stream, FlushReplacesWhatIsPendingAndStartsAnew) {
  Utf8Stream stream;
  std::string out;
  stream.push(0xF0, out);
  stream.push(0x9F, out);
  EXPECT_TRUE(stream.has_pending());
  stream.flush(out);
  stream.push('a', out);
  stream.flush(out);
  EXPECT_EQ(out, "\uFFFDa");
}

}  // namespace
}  // namespace beryl::text
