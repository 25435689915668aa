#include "text/stream_decoder.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace beryl::text {
namespace {

using Ids = std::vector<int32_t>;

class StreamDecoderTest : public testing::Test {
 protected:
  StreamDecoderTest() : tokenizer_(load_tokenizer(BERYL_SOURCE_DIR "/models/demo/tokenizer.json")) {}

  Ids bytes(std::string_view text) const {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    Ids ids;
    for (const char c : text) {
      const uint8_t byte = static_cast<uint8_t>(c);
      const std::string token = std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">";
      ids.push_back(tokenizer_.find_token(token).value());
    }
    return ids;
  }

  // Pieces in order, the flushed rest last.
  std::vector<std::string> stream(const Ids& ids, SpecialOutput special_output) const {
    StreamDecoder decoder(tokenizer_, special_output);
    std::vector<std::string> pieces;
    for (const int32_t id : ids) pieces.push_back(decoder.push(id));
    pieces.push_back(decoder.flush());
    return pieces;
  }

  std::string joined(const Ids& ids, SpecialOutput special_output) const {
    std::string text;
    for (const std::string& piece : stream(ids, special_output)) text += piece;
    return text;
  }

  Tokenizer tokenizer_;
};

TEST_F(StreamDecoderTest, EqualsTheReferenceWhereBytesAreText) {
  const std::string path = BERYL_SOURCE_DIR "/testdata/tokenizer/demo_vectors.json";
  const auto vectors = parse_json(read_text_file(path, 16 << 20), path);
  size_t compared = 0;
  for (const auto& vector : vectors["decode"]) {
    const Ids ids = vector["ids"].get<Ids>();
    for (const std::string& piece : stream(ids, SpecialOutput::kKeep)) EXPECT_FALSE(find_invalid_utf8(piece));
    const std::string text = vector["text"].get<std::string>();
    const std::string shorter = vector["text_without_specials"].get<std::string>();
    if (text.find(kReplacementCharacter) == std::string::npos) {
      EXPECT_EQ(joined(ids, SpecialOutput::kKeep), text);
      ++compared;
    }
    if (shorter.find(kReplacementCharacter) == std::string::npos) {
      EXPECT_EQ(joined(ids, SpecialOutput::kSkip), shorter);
    }
  }
  EXPECT_GT(compared, 80U);
  for (const auto& vector : vectors["encode"]) {
    const Ids ids = vector["ids"].get<Ids>();
    EXPECT_EQ(joined(ids, SpecialOutput::kKeep), tokenizer_.decode(ids, SpecialOutput::kKeep));
    EXPECT_EQ(joined(ids, SpecialOutput::kSkip), tokenizer_.decode(ids, SpecialOutput::kSkip));
  }
}

TEST_F(StreamDecoderTest, ShowsEachCharacterAtItsLastByte) {
  EXPECT_EQ(stream(bytes("\U0001F999\u00E9"), SpecialOutput::kKeep),
            (std::vector<std::string>{"", "", "", "\U0001F999", "", "\u00E9", ""}));
}

TEST_F(StreamDecoderTest, ReplacesOnlyWhatIsBroken) {
  const int32_t word = tokenizer_.find_token("\u2581the").value();
  Ids ids = bytes("a\xF0\x9F");
  ids.push_back(word);
  EXPECT_EQ(stream(ids, SpecialOutput::kKeep), (std::vector<std::string>{"a", "", "", "\uFFFD the", ""}));
  EXPECT_EQ(stream(bytes("a\xF0\x9F"), SpecialOutput::kKeep),
            (std::vector<std::string>{"a", "", "", "\uFFFD"}));
  // The whole decode has to give up the run as a whole.
  EXPECT_EQ(tokenizer_.decode(bytes("a\xF0\x9F"), SpecialOutput::kKeep), "\uFFFD\uFFFD\uFFFD");
}

TEST_F(StreamDecoderTest, SkippedTokensDoNotInterruptACharacter) {
  const int32_t turn = tokenizer_.find_special("<turn|>").value();
  Ids ids = bytes("\u20AC");
  ids.insert(ids.begin() + 1, turn);
  EXPECT_EQ(joined(ids, SpecialOutput::kSkip), "\u20AC");
  EXPECT_EQ(joined(ids, SpecialOutput::kKeep), "\uFFFD<turn|>\uFFFD\uFFFD");
}

TEST_F(StreamDecoderTest, UnknownIdsLeaveTheStreamAsItWas) {
  StreamDecoder decoder(tokenizer_, SpecialOutput::kKeep);
  const Ids ids = bytes("\u00E9");
  EXPECT_EQ(decoder.push(ids[0]), "");
  EXPECT_THROW(decoder.push(-1), Error);
  EXPECT_THROW(decoder.push(2048), Error);
  EXPECT_EQ(decoder.push(ids[1]), "\u00E9");
  EXPECT_EQ(decoder.flush(), "");
}

}  // namespace
}  // namespace beryl::text
