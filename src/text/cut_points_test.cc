#include "text/cut_points.h"

#include <gtest/gtest.h>

#include <random>

#include "text/random_tables.h"
#include "text/slow_encoder.h"

namespace beryl::text {
namespace {

std::u32string characters_of(std::string_view text) {
  std::u32string characters;
  for (size_t offset = 0; offset < text.size();) {
    const Utf8Character character = read_utf8(text, offset);
    characters.push_back(character.value);
    offset += character.byte_count;
  }
  return characters;
}

// Wherever a cut is allowed, the two halves encoded alone are the whole encoded; and cuts do exist.
TEST(CutPoints, CuttingChangesNothing) {
  const std::u32string alphabet = characters_of(kMadeUpAlphabet);
  std::mt19937 random(1);
  size_t cut_count = 0;
  for (int round = 0; round < 100; ++round) {
    const TokenizerTables tables = make_random_tables(random() % 60, [&](size_t n) { return random() % n; });
    for (int i = 0; i < 20; ++i) {
      std::string before;
      std::string after;
      for (size_t n = 1 + random() % 10; n > 0; --n)
        append_utf8(before, alphabet[random() % alphabet.size()]);
      for (size_t n = 1 + random() % 10; n > 0; --n) append_utf8(after, alphabet[random() % alphabet.size()]);
      if (!tables.cut_points.may_cut(read_last_utf8(before), read_utf8(after, 0).value)) continue;
      ++cut_count;
      std::vector<int32_t> halves = slow_encode(before, tables);
      for (const int32_t id : slow_encode(after, tables)) halves.push_back(id);
      ASSERT_EQ(halves, slow_encode(before + after, tables)) << before << " / " << after;
    }
  }
  EXPECT_GT(cut_count, 500U);
}

TEST(CutPoints, NoneInsideAMerge) {
  std::mt19937 random(2);
  const TokenizerTables tables = make_random_tables(100, [&](size_t n) { return random() % n; });
  for (uint32_t rank = 0; rank < tables.merges.size(); ++rank) {
    const std::u32string product = characters_of(tables.vocabulary.text(tables.merges.product(rank)));
    if (product.size() != 2) continue;  // a longer one can be joined at another place
    EXPECT_FALSE(tables.cut_points.may_cut(product[0], product[1]));
  }
}

}  // namespace
}  // namespace beryl::text
