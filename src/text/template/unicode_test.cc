#include "text/template/unicode.h"

#include <gtest/gtest.h>

#include <set>

namespace beryl::text {
namespace {

// FNV-1a over all characters stands for a table of a million rows; the expected values were made with Python
// 3.11 (Unicode 14).
class Digest {
 public:
  void add(std::string_view bytes) {
    for (const char c : bytes) value_ = (value_ ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xcbf29ce484222325U;
};

template <typename Visit>
void for_each_code(Visit&& visit) {
  for (uint32_t code = 0; code < 0x110000; ++code) {
    if (code < 0xD800 || code >= 0xE000) visit(code);
  }
}

std::string utf8_of(uint32_t code) {
  std::string text;
  append_utf8(text, code);
  return text;
}

TEST(Unicode, ChangesTheCaseOfEveryCharacterAsPython) {
  Digest upper;
  Digest lower;
  for_each_code([&](uint32_t code) {
    upper.add(to_upper(utf8_of(code)) + "\n");
    lower.add(to_lower(utf8_of(code)) + "\n");
  });
  EXPECT_EQ(upper.value(), 0xbb77fda97fc93dc4U);
  EXPECT_EQ(lower.value(), 0x45c0f3d4d1933888U);
}

TEST(Unicode, KnowsWhatIsPrintableAsPython) {
  Digest printable;
  for_each_code([&](uint32_t code) { printable.add(is_printable(code) ? "1" : "0"); });
  EXPECT_EQ(printable.value(), 0xaa9f1dcf80f4f759U);
}

TEST(Unicode, KnowsWhiteSpaceAsPython) {
  std::set<uint32_t> found;
  for_each_code([&](uint32_t code) {
    if (is_white_space(code)) found.insert(code);
  });
  EXPECT_EQ(found, (std::set<uint32_t>{0x9,    0xa,    0xb,    0xc,    0xd,    0x1c,   0x1d,   0x1e,
                                       0x1f,   0x20,   0x85,   0xa0,   0x1680, 0x2000, 0x2001, 0x2002,
                                       0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200a,
                                       0x2028, 0x2029, 0x202f, 0x205f, 0x3000}));
}

TEST(Unicode, ReadsEveryCharacterForwardsAndBackwards) {
  for_each_code([&](uint32_t code) {
    const std::string text = utf8_of(code);
    const Character first = character_at(text, 0);
    const Character last = character_before(text, text.size());
    ASSERT_EQ(first.code, code);
    ASSERT_EQ(first.byte_count, text.size());
    ASSERT_EQ(last.code, code);
    ASSERT_EQ(last.byte_count, text.size());
  });
}

TEST(Unicode, TakesInvalidBytesOneByOne) {
  for (const std::string text : {"\x80", "\xC0\x80", "\xE2\x82", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                 "\xFF\xFE", "\xE0\x80\x80", "\xF0\x80\x80\x80", "\xC3"}) {
    EXPECT_EQ(count_characters(text), text.size());
    EXPECT_EQ(character_at(text, 0).code, kInvalidCode + static_cast<unsigned char>(text[0]));
    EXPECT_EQ(character_before(text, text.size()).byte_count, 1U);
    EXPECT_EQ(to_upper(text), text);
  }
}

TEST(Unicode, FindsCharactersByIndex) {
  const std::string text = "a\u00e9\u4e2d\U0001F600z";
  EXPECT_EQ(count_characters(text), 5U);
  EXPECT_EQ(offset_of_character(text, 0), 0U);
  EXPECT_EQ(offset_of_character(text, 3), 6U);
  EXPECT_EQ(offset_of_character(text, 4), 10U);
  EXPECT_EQ(offset_of_character(text, 99), text.size());
}

}  // namespace
}  // namespace beryl::text
