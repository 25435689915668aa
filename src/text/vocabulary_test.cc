#include "text/vocabulary.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "text/hash.h"

namespace beryl::text {
namespace {

// `extra` after the 256 byte tokens.
std::vector<std::string> with_bytes(const std::vector<std::string>& extra) {
  std::vector<std::string> texts;
  for (int byte = 0; byte < 256; ++byte) texts.push_back(fmt::format("<0x{:02X}>", byte));
  texts.insert(texts.end(), extra.begin(), extra.end());
  return texts;
}

Vocabulary make(const std::vector<std::string>& texts) {
  return Vocabulary(std::vector<std::string_view>(texts.begin(), texts.end()));
}

std::string complaint(const std::vector<std::string>& texts) {
  try {
    make(texts);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    return error.message();
  }
  return "nothing";
}

TEST(Vocabulary, FindsWhatItHolds) {
  std::vector<std::string> texts =
      with_bytes({"a", "b", "ab", "\u2581", "\u4E2D", "\U0001F999", "\u4E2D\u4E2D"});
  for (int i = 0; i < 5000; ++i) texts.push_back(fmt::format("token number {}", i));
  const Vocabulary vocabulary = make(texts);
  ASSERT_EQ(vocabulary.size(), static_cast<int32_t>(texts.size()));
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    ASSERT_EQ(vocabulary.text(id), texts[static_cast<size_t>(id)]);
    ASSERT_EQ(vocabulary.find(vocabulary.text(id)), id);
  }
  for (const std::string_view absent : {"", "c", "abc", "token number 5000", "<0x100>"}) {
    EXPECT_EQ(vocabulary.find(absent), std::nullopt) << absent;
  }
}

TEST(Vocabulary, KnowsItsRange) {
  const Vocabulary vocabulary = make(with_bytes({"a"}));
  EXPECT_TRUE(vocabulary.contains(0));
  EXPECT_TRUE(vocabulary.contains(256));
  for (const int32_t id : {-1, 257, INT32_MAX, INT32_MIN}) EXPECT_FALSE(vocabulary.contains(id)) << id;
}

TEST(Vocabulary, FindsSingleCharacters) {
  const Vocabulary vocabulary = make(with_bytes({"a", "ab", "\u4E2D", "\U0001F999", "\U0010FFFF"}));
  EXPECT_EQ(vocabulary.find_character('a'), 256);
  EXPECT_EQ(vocabulary.find_character(0x4E2D), 258);
  EXPECT_EQ(vocabulary.find_character(0x1F999), 259);
  EXPECT_EQ(vocabulary.find_character(0x10FFFF), 260);
  for (const char32_t absent : {U'b', U'\0', U'\u4E2E', U'\u0161', U'\U0001F998'}) {
    EXPECT_EQ(vocabulary.find_character(absent), Vocabulary::kNoToken);
  }
}

TEST(Vocabulary, PairsBytesWithTheirTokens) {
  const Vocabulary vocabulary = make(with_bytes({"a", "<unk>", "<0x1>"}));
  for (int byte = 0; byte < 256; ++byte) {
    const int32_t id = vocabulary.byte_token(static_cast<uint8_t>(byte));
    EXPECT_EQ(id, byte);
    EXPECT_EQ(vocabulary.find_byte(id), byte);
  }
  for (int32_t id = 256; id < 259; ++id) EXPECT_EQ(vocabulary.find_byte(id), std::nullopt);
}

TEST(Vocabulary, RefusesBadTokens) {
  EXPECT_EQ(complaint(with_bytes({std::string(kTokenBytesMax, 'a')})), "nothing");
  EXPECT_THAT(complaint(with_bytes({std::string(kTokenBytesMax + 1, 'a')})),
              testing::HasSubstr("1025 bytes"));
  EXPECT_EQ(complaint(with_bytes({"a", ""})), "token 257 is empty");
  EXPECT_EQ(complaint(with_bytes({"a", "b", "a"})), "tokens 256 and 258 have the same text 'a'");
  EXPECT_EQ(complaint({"a"}), "there is no token '<0x00>'");
  std::vector<std::string> texts = with_bytes({});
  texts[0xAB] = "<0xab>";
  EXPECT_EQ(complaint(texts), "there is no token '<0xAB>'");
  EXPECT_THAT(complaint(with_bytes({"<0xab>"})), testing::HasSubstr("looks like a byte"));
  EXPECT_THAT(complaint(with_bytes({"<0x+1>"})), testing::HasSubstr("looks like a byte"));
}

// A file made so that all tokens have the same slot would make loading quadratic.
TEST(Vocabulary, RefusesTokensMadeToCollide) {
  constexpr uint64_t kSlotMask = 2047;
  std::vector<std::string> colliding;
  for (int i = 0; colliding.size() < 700; ++i) {
    std::string text = fmt::format("{}", i);
    if ((hash_text(text) & kSlotMask) == 0) colliding.push_back(std::move(text));
  }
  EXPECT_THAT(complaint(with_bytes(colliding)), testing::HasSubstr("collides with too many others"));
  // As many as are bearable, and all are found.
  colliding.resize(300);
  while (colliding.size() < 700) colliding.push_back(fmt::format("filler {}", colliding.size()));
  const std::vector<std::string> texts = with_bytes(colliding);
  const Vocabulary vocabulary = make(texts);
  for (int32_t id = 0; id < vocabulary.size(); ++id) ASSERT_EQ(vocabulary.find(vocabulary.text(id)), id);
  EXPECT_EQ(vocabulary.find("absent"), std::nullopt);
}

TEST(Vocabulary, RefusesTooManyTokens) {
  const std::vector<std::string_view> texts(kVocabularySizeMax + 1, "a");
  EXPECT_THROW(Vocabulary{texts}, Error);
}

}  // namespace
}  // namespace beryl::text
