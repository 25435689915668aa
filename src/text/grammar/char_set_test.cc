#include "text/grammar/char_set.h"

#include <gtest/gtest.h>

namespace beryl::text::grammar {
namespace {

TEST(CharSet, JoinsWhatOverlapsOrTouches) {
  CharSet set{{'d', 'f'}, {'a', 'b'}};
  EXPECT_EQ(set.ranges(), (std::vector<CharRange>{{'a', 'b'}, {'d', 'f'}}));
  set.add('c', 'c');
  EXPECT_EQ(set.ranges(), (std::vector<CharRange>{{'a', 'f'}}));
  set.add('e', 'z');
  EXPECT_EQ(set.ranges(), (std::vector<CharRange>{{'a', 'z'}}));
  set.add('0', '0');
  EXPECT_EQ(set.ranges(), (std::vector<CharRange>{{'0', '0'}, {'a', 'z'}}));
}

TEST(CharSet, NeverHoldsSurrogates) {
  EXPECT_EQ(CharSet::all().ranges(), (std::vector<CharRange>{{0, 0xD7FF}, {0xE000, 0x10FFFF}}));
  EXPECT_TRUE(CharSet({{0xD800, 0xDFFF}}).empty());
  EXPECT_EQ(CharSet({{0xDC00, 0xE001}}).ranges(), (std::vector<CharRange>{{0xE000, 0xE001}}));
}

TEST(CharSet, ComplementsAndIntersects) {
  const CharSet lower{{'a', 'z'}};
  EXPECT_EQ(lower.complement().complement(), lower);
  EXPECT_FALSE(lower.complement().contains('m'));
  EXPECT_TRUE(lower.complement().contains(0x1F600));
  EXPECT_TRUE(CharSet::all().complement().empty());
  EXPECT_EQ(lower.intersect({{'A', 'c'}, {'x', '~'}}), (CharSet{{'a', 'c'}, {'x', 'z'}}));
  EXPECT_EQ(lower.without({{'b', 'y'}}), (CharSet{{'a', 'a'}, {'z', 'z'}}));
  EXPECT_TRUE(lower.contains_all({{'b', 'c'}}));
  EXPECT_FALSE(lower.contains_all({{'b', '~'}}));
}

TEST(CharSet, KnowsWhatJsonWritesAsItIs) {
  const CharSet& plain = json_plain_characters();
  EXPECT_TRUE(plain.contains(' ') && plain.contains(0x7F) && plain.contains(0x10FFFF));
  EXPECT_FALSE(plain.contains('"') || plain.contains('\\') || plain.contains('\n'));
}

}  // namespace
}  // namespace beryl::text::grammar
