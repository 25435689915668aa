#include "text/utf8.h"

#include <gtest/gtest.h>

#include <random>

namespace beryl::text {
namespace {

TEST(Utf8, EveryCharacterRoundTrips) {
  for (char32_t value = 0; value < 0x110000; ++value) {
    if (value >= 0xD800 && value < 0xE000) continue;
    std::string text = "\u20AC";
    append_utf8(text, value);
    ASSERT_FALSE(find_invalid_utf8(text)) << uint32_t{value};
    const Utf8Character character = read_utf8(text, 3);
    ASSERT_TRUE(character.value == value) << uint32_t{value};
    ASSERT_EQ(character.byte_count, text.size() - 3);
    ASSERT_TRUE(read_last_utf8(text) == value) << uint32_t{value};
  }
}

// Valid sequences are those that encode a character, by the round trip above; all others of up to three bytes
// must be refused.
TEST(Utf8, NothingElseOfUpToThreeBytesIsValid) {
  const auto is_valid = [](std::string_view text) { return !find_invalid_utf8(text).has_value(); };
  const auto is_canonical = [](const std::string& bytes) {
    std::string again;
    for (size_t offset = 0; offset < bytes.size();) {
      const uint8_t lead = static_cast<uint8_t>(bytes[offset]);
      const size_t byte_count = lead < 0x80 ? 1 : lead < 0xC0 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
      if (byte_count == 0 || byte_count > bytes.size() - offset) return false;
      const char32_t value = read_utf8(bytes, offset).value;
      if ((value >= 0xD800 && value < 0xE000) || value >= 0x110000) return false;
      append_utf8(again, value);
      offset += byte_count;
    }
    return again == bytes;
  };
  for (int first = 0; first < 256; ++first) {
    std::string bytes(1, static_cast<char>(first));
    ASSERT_EQ(is_valid(bytes), is_canonical(bytes));
    for (int second = 0; second < 256; ++second) {
      bytes.resize(1);
      bytes.push_back(static_cast<char>(second));
      ASSERT_EQ(is_valid(bytes), is_canonical(bytes)) << first << " " << second;
      for (const int third : {0x00, 0x7F, 0x80, 0x9F, 0xBF, 0xC0, 0xC2, 0xFF}) {
        bytes.resize(2);
        bytes.push_back(static_cast<char>(third));
        ASSERT_EQ(is_valid(bytes), is_canonical(bytes)) << first << " " << second << " " << third;
      }
    }
  }
}

TEST(Utf8, TellsWhereTheFirstFaultIs) {
  EXPECT_EQ(find_invalid_utf8(""), std::nullopt);
  for (const std::string_view fault :
       {"\x80", "\xC1\xBF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF5", "\xE2\x82"}) {
    for (size_t before = 0; before < 20; ++before) {
      const std::string text = std::string(before, 'x') + std::string(fault);
      EXPECT_EQ(find_invalid_utf8(text), before);
      if (before >= 3) {
        EXPECT_EQ(find_invalid_utf8("\u20AC" + text.substr(3)), before);
      }
      EXPECT_EQ(find_invalid_utf8(text + "a\u00E9 long tail"), before);
    }
  }
}

}  // namespace
}  // namespace beryl::text
