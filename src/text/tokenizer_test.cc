#include "text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace beryl::text {
namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;

constexpr const char* kVectors = BERYL_SOURCE_DIR "/testdata/tokenizer/";

json read_json(const std::string& path) {
  return parse_json(read_text_file(path, 16 << 20), path);
}

Tokenizer demo_tokenizer() {
  return load_tokenizer(BERYL_SOURCE_DIR "/models/demo/tokenizer.json");
}

// Google's own file, 32 MB, which is not part of the tree.
std::filesystem::path google_file() {
  const char* shared = std::getenv("BERYL_SHARED");
  return std::filesystem::path(shared != nullptr ? shared : BERYL_SOURCE_DIR "/../shared") /
         "data/tokenizer/tokenizer.json";
}

class GoogleTokenizer : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(google_file())) {
      GTEST_SKIP() << "NOT TESTED against Google's tokenizer.json: there is no " << google_file()
                   << "; set BERYL_SHARED to the folder that holds data/tokenizer/tokenizer.json";
    }
    tokenizer_.emplace(load_tokenizer(google_file()));
  }

  const Tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  std::optional<Tokenizer> tokenizer_;
};

TEST(DemoTokenizer, EncodesLikeTheReference) {
  const Tokenizer tokenizer = demo_tokenizer();
  const json vectors = read_json(std::string(kVectors) + "demo_vectors.json")["encode"];
  ASSERT_GT(vectors.size(), 600U);
  for (const json& vector : vectors) {
    const std::string text = vector["text"].get<std::string>();
    EXPECT_EQ(tokenizer.encode(text, SpecialTokens::kRecognise), vector["ids"].get<Ids>()) << text;
    EXPECT_EQ(tokenizer.encode(text, SpecialTokens::kAsText), vector["plain_ids"].get<Ids>()) << text;
  }
}

TEST(DemoTokenizer, DecodesLikeTheReference) {
  const Tokenizer tokenizer = demo_tokenizer();
  const json vectors = read_json(std::string(kVectors) + "demo_vectors.json")["decode"];
  ASSERT_GT(vectors.size(), 300U);
  for (const json& vector : vectors) {
    const Ids ids = vector["ids"].get<Ids>();
    EXPECT_EQ(tokenizer.decode(ids, SpecialOutput::kKeep), vector["text"].get<std::string>())
        << vector["ids"];
    EXPECT_EQ(tokenizer.decode(ids, SpecialOutput::kSkip), vector["text_without_specials"].get<std::string>())
        << vector["ids"];
  }
}

TEST(DemoTokenizer, TextComesBackUnlessItHoldsTheVisibleSpace) {
  const Tokenizer tokenizer = demo_tokenizer();
  const json vectors = read_json(std::string(kVectors) + "demo_vectors.json")["encode"];
  for (const json& vector : vectors) {
    const std::string text = vector["text"].get<std::string>();
    if (text.find("\u2581") != std::string::npos) continue;
    for (const SpecialTokens special_tokens : {SpecialTokens::kRecognise, SpecialTokens::kAsText}) {
      EXPECT_EQ(tokenizer.decode(tokenizer.encode(text, special_tokens), SpecialOutput::kKeep), text);
    }
  }
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("a\u2581b", SpecialTokens::kAsText), SpecialOutput::kKeep),
            "a b");
}

TEST(DemoTokenizer, PlainTextNeverBecomesSpecial) {
  const Tokenizer tokenizer = demo_tokenizer();
  ASSERT_EQ(tokenizer.special_tokens().size(), 24U);
  for (const SpecialToken& token : tokenizer.special_tokens()) {
    for (const std::string& text :
         {token.text, "A" + token.text + "B", token.text + token.text, "<" + token.text}) {
      const Ids ids = tokenizer.encode(text, SpecialTokens::kAsText);
      for (const int32_t id : ids) EXPECT_FALSE(tokenizer.is_special(id)) << text;
      EXPECT_EQ(tokenizer.decode(ids, SpecialOutput::kSkip), text);
    }
    EXPECT_EQ(tokenizer.encode(token.text, SpecialTokens::kRecognise), Ids{token.id});
  }
}

// The spans cut as many ways as there are: with nothing special outside of them, the ids are those of the
// whole.
TEST(DemoTokenizer, BordersOfSpansSeparateNothing) {
  const Tokenizer tokenizer = demo_tokenizer();
  const std::string before = "<bos><|turn>user\n";
  const std::string user = "  The apples cost 3 dollars\n\n";
  const std::string after = "\n<turn|>\n<|turn>model\n";
  const std::string text = before + user + after;
  const Ids whole = tokenizer.encode(text, SpecialTokens::kRecognise);
  const size_t user_end = before.size() + user.size();
  for (size_t begin = before.size(); begin <= user_end; ++begin) {
    for (size_t end = begin; end <= user_end; ++end) {
      const Span spans[] = {{0, begin}, {end, text.size()}};
      ASSERT_EQ(tokenizer.encode_marked(text, spans), whole) << begin << " " << end;
    }
  }
}

TEST(DemoTokenizer, SpecialTokensMustLieInsideOneSpan) {
  const Tokenizer tokenizer = demo_tokenizer();
  const std::string text = "<|turn>x<|turn>";
  const int32_t turn = tokenizer.find_special("<|turn>").value();
  const auto special_count = [&](const std::vector<Span>& spans) {
    const Ids ids = tokenizer.encode_marked(text, spans);
    EXPECT_EQ(tokenizer.decode(ids, SpecialOutput::kKeep), text);
    return std::ranges::count(ids, turn);
  };
  EXPECT_EQ(special_count({}), 0);
  EXPECT_EQ(special_count({{0, 15}}), 2);
  EXPECT_EQ(special_count({{0, 7}}), 1);
  EXPECT_EQ(special_count({{0, 6}}), 0);
  EXPECT_EQ(special_count({{1, 15}}), 1);
  EXPECT_EQ(special_count({{0, 3}, {4, 15}}), 1);
  EXPECT_EQ(special_count({{0, 3}, {3, 15}}), 2) << "spans that touch count as one";
  EXPECT_EQ(special_count({{0, 0}, {0, 7}, {7, 7}, {8, 14}}), 1);
}

TEST(DemoTokenizer, RefusesBrokenUtf8) {
  const Tokenizer tokenizer = demo_tokenizer();
  for (const std::string_view text : {"ab\xFF", "ab\xC3", "ab\xED\xA0\x80", "ab\xC0\x80"}) {
    try {
      tokenizer.encode(text, SpecialTokens::kAsText);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
      EXPECT_EQ(error.message(), "text is not valid UTF-8 at byte 2");
    }
  }
}

TEST(DemoTokenizer, RefusesUnknownIds) {
  const Tokenizer tokenizer = demo_tokenizer();
  for (const int32_t id : {-1, 2048, INT32_MAX, INT32_MIN}) {
    EXPECT_THROW(tokenizer.decode(Ids{5, id}, SpecialOutput::kKeep), Error);
    EXPECT_THROW(tokenizer.decode(Ids{5, id}, SpecialOutput::kSkip), Error);
    EXPECT_THROW(tokenizer.token_text(id), Error);
    EXPECT_THROW(tokenizer.token_piece(id), Error);
    EXPECT_THROW(tokenizer.is_special(id), Error);
  }
  try {
    tokenizer.token_text(2048);
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "token id 2048 is outside the vocabulary of 2048");
  }
}

TEST(DemoTokenizer, AnswersAboutTokens) {
  const Tokenizer tokenizer = demo_tokenizer();
  EXPECT_EQ(tokenizer.vocabulary_size(), 2048);
  EXPECT_EQ(tokenizer.find_special("<bos>"), 2);
  EXPECT_EQ(tokenizer.find_special("the"), std::nullopt);
  const int32_t word = tokenizer.find_token("\u2581the").value();
  EXPECT_EQ(tokenizer.token_text(word), "\u2581the");
  EXPECT_EQ(tokenizer.token_piece(word).text, " the");
  EXPECT_EQ(tokenizer.token_piece(word).byte, std::nullopt);
  EXPECT_FALSE(tokenizer.is_special(word));
  EXPECT_TRUE(tokenizer.is_special(2));
  const int32_t newline_byte = tokenizer.find_token("<0x0A>").value();
  EXPECT_EQ(tokenizer.token_piece(newline_byte).byte, 0x0A);
  EXPECT_EQ(tokenizer.token_piece(newline_byte).text, "");
}

// All pieces are at hand, so that the whole vocabulary can be offered to a grammar.
TEST(DemoTokenizer, PiecesEqualDecodedTokens) {
  const Tokenizer tokenizer = demo_tokenizer();
  for (int32_t id = 0; id < tokenizer.vocabulary_size(); ++id) {
    const TokenPiece piece = tokenizer.token_piece(id);
    if (piece.byte) continue;
    ASSERT_EQ(piece.text, tokenizer.decode(Ids{id}, SpecialOutput::kKeep));
  }
}

// Texts that ruin quadratic encoders; the limit is far above the time taken, far below quadratic.
TEST(DemoTokenizer, LongRunsStayFast) {
  const Tokenizer tokenizer = demo_tokenizer();
  for (const std::string unit : {"a", "_", " ", "\n", "ab", "\u4E2D", "<", "the "}) {
    std::string text;
    while (text.size() < (1 << 20)) text += unit;
    const auto start = std::chrono::steady_clock::now();
    const Ids ids = tokenizer.encode(text, SpecialTokens::kRecognise);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30)) << unit;
    EXPECT_EQ(tokenizer.decode(ids, SpecialOutput::kKeep), text);
  }
}

TEST_F(GoogleTokenizer, EncodesGoldenTexts) {
  const json vectors = read_json(std::string(kVectors) + "golden_tokens.json");
  ASSERT_EQ(vectors.size(), 107U);
  for (const json& vector : vectors) {
    const std::string text = vector["text"].get<std::string>();
    EXPECT_EQ(tokenizer().encode(text, SpecialTokens::kRecognise), vector["ids"].get<Ids>()) << text;
  }
}

TEST_F(GoogleTokenizer, AgreesWithTheOtherImplementation) {
  constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";
  std::string texts = read_text_file(std::string(kVectors) + "llamacpp_gemma4.inp", 1 << 20);
  std::istringstream expected(read_text_file(std::string(kVectors) + "llamacpp_gemma4.out", 1 << 20));
  size_t count = 0;
  for (std::string line; std::getline(expected, line); ++count) {
    const size_t end = std::min(texts.find(kSeparator), texts.size());
    std::istringstream numbers(line);
    const Ids ids((std::istream_iterator<int32_t>(numbers)), {});
    EXPECT_EQ(tokenizer().encode(texts.substr(0, end), SpecialTokens::kRecognise), ids)
        << texts.substr(0, end);
    texts.erase(0, end + kSeparator.size());
  }
  EXPECT_EQ(count, 46U);
}

TEST_F(GoogleTokenizer, HasTheKnownIds) {
  EXPECT_EQ(tokenizer().vocabulary_size(), 262144);
  for (const auto& [token, id] : {std::pair("<bos>", 2),
                                  {"<|turn>", 105},
                                  {"<turn|>", 106},
                                  {"<|channel>", 100},
                                  {"<|image|>", 258880},
                                  {"<|video|>", 258884}}) {
    EXPECT_EQ(tokenizer().find_special(token), id);
  }
  EXPECT_EQ(tokenizer().encode(std::string(35, '\n'), SpecialTokens::kAsText), (Ids{137, 110}));
  EXPECT_EQ(tokenizer().encode("<table>", SpecialTokens::kRecognise), (Ids{236820, 5127, 236813}));
  EXPECT_EQ(tokenizer().encode("\r", SpecialTokens::kAsText), Ids{251});
}

}  // namespace
}  // namespace beryl::text
