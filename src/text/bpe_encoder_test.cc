#include "text/bpe_encoder.h"

#include <gtest/gtest.h>

#include <random>

#include "text/random_tables.h"
#include "text/slow_encoder.h"

namespace beryl::text {
namespace {

std::string random_text(std::mt19937& random, size_t length) {
  constexpr std::string_view kCharacters[] = {"a",  "b",      "<",          "|", " ",     "\u2581",
                                              "\n", "\u4E2D", "\U0001F999", "x", "\u00E9"};
  // A few characters a text, so that pieces repeat.
  const size_t first = random() % std::size(kCharacters);
  const size_t count = 1 + random() % 4;
  std::string text;
  for (size_t i = 0; i < length; ++i)
    text += kCharacters[(first + random() % count) % std::size(kCharacters)];
  return text;
}

TEST(BpeEncoder, EqualsTheRuleOnMadeUpVocabularies) {
  std::mt19937 random(1);
  for (int round = 0; round < 150; ++round) {
    const TokenizerTables tables = make_random_tables(random() % 120, [&](size_t n) { return random() % n; });
    BpeEncoder encoder(tables);
    for (int i = 0; i < 20; ++i) {
      const std::string text = random_text(random, random() % 150);
      std::vector<int32_t> ids;
      encoder.encode(text, ids);
      ASSERT_EQ(ids, slow_encode(text, tables)) << "round " << round << ": " << text;
    }
  }
}

TEST(BpeEncoder, AppendsAndStartsAnewWithEachText) {
  std::mt19937 random(2);
  const TokenizerTables tables = make_random_tables(200, [&](size_t n) { return random() % n; });
  BpeEncoder encoder(tables);
  std::vector<int32_t> expected = slow_encode("ab", tables);
  const std::vector<int32_t> second = slow_encode("ba", tables);
  expected.insert(expected.end(), second.begin(), second.end());
  std::vector<int32_t> ids;
  encoder.encode("ab", ids);
  encoder.encode("", ids);
  encoder.encode("ba", ids);
  EXPECT_EQ(ids, expected);
}

}  // namespace
}  // namespace beryl::text
