#include "eval/compare_texts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/temporary_directory_for_tests.h"
#include "text/template_source.h"

namespace beryl::eval {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class CompareTextsTest : public testing::Test {
 protected:
  std::vector<CompareText> load(const std::string& name, const std::string& content,
                                CompareTextOptions options = {.positions_max = 1000, .context_max = 512}) {
    return load_compare_texts(folder_.write(name, content), tokenizer_, &template_, options);
  }
  std::string message_of(const std::string& name, const std::string& content) {
    try {
      load(name, content);
    } catch (const Error& error) {
      return error.message();
    }
    return "no error";
  }
  std::string decode(const CompareText& text, size_t first) {
    return tokenizer_.decode(std::span(text.tokens).subspan(first), text::SpecialOutput::kKeep);
  }

  const fs::path model_ = fs::path(BERYL_SOURCE_DIR) / "models/demo";
  const TemporaryDirectory folder_;
  const text::Tokenizer tokenizer_ = text::load_tokenizer(model_ / "tokenizer.json");
  const text::ChatTemplate template_{text::load_template_source(model_).text, "template"};
};

TEST_F(CompareTextsTest, PredictsAnswersToQuestions) {
  const auto texts = load("a.jsonl", R"({"question": "1 + 1?", "answer": "#### 2"})");
  ASSERT_EQ(texts.size(), 1U);
  EXPECT_EQ(decode(texts[0], texts[0].first), "<channel|>#### 2<turn|>");
  EXPECT_THAT(decode(texts[0], 0), HasSubstr("<bos><|turn>user\n1 + 1?<turn|>"));
}

TEST_F(CompareTextsTest, PredictsAllOfAText) {
  const auto texts = load("a.jsonl", "{\"text\": \"Tom has <bos>\"}\n\n{\"text\": \"b\"}\n");
  ASSERT_EQ(texts.size(), 2U);
  EXPECT_EQ(texts[0].first, 0U);
  EXPECT_EQ(decode(texts[0], 0), "<bos>Tom has <bos>");
  EXPECT_GT(texts[0].tokens.size(), 4U);  // the second one is plain characters
}

TEST_F(CompareTextsTest, DividesPlainText) {
  std::string words;
  for (int i = 0; i < 500; ++i) words += " apples";
  const auto texts = load("a.txt", words, {.positions_max = 700, .context_max = 100});
  int64_t positions = 0;
  for (const CompareText& text : texts) {
    EXPECT_LE(text.tokens.size(), 100U);
    EXPECT_EQ(text.tokens.front(), texts[0].tokens.front());
    positions += text.positions();
  }
  EXPECT_GT(texts.size(), 2U);
  EXPECT_LE(positions, 700);
  EXPECT_EQ(decode(texts[0], 1).substr(0, 14), " apples apples");
}

TEST_F(CompareTextsTest, StopsAtTheLimit) {
  const std::string line = R"({"question": "1 + 1?", "answer": "#### 2"})";
  const auto texts =
      load("a.jsonl", line + "\n" + line + "\n" + line, {.positions_max = 7, .context_max = 512});
  ASSERT_EQ(texts.size(), 2U);
  EXPECT_EQ(texts[0].positions() + texts[1].positions(), 7);
}

TEST_F(CompareTextsTest, SaysWhatIsWrong) {
  EXPECT_THAT(message_of("a.jsonl", "{\"text\": \"a\"}\n{\"question\": \"b\"}"),
              AllOf(HasSubstr("a.jsonl:2"), HasSubstr("neither")));
  EXPECT_THAT(message_of("b.jsonl", "\n"), HasSubstr("nothing that a model could predict"));
  EXPECT_THAT(message_of("c.txt", ""), HasSubstr("nothing that a model could predict"));
  EXPECT_THROW(load_compare_texts(folder_.write("d.jsonl", R"({"question": "a", "answer": "b"})"), tokenizer_,
                                  nullptr, {.positions_max = 9, .context_max = 9}),
               Error);
}

}  // namespace
}  // namespace beryl::eval
