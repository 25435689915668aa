#include "cli/tokenize_command.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"

namespace beryl::cli {
namespace {

using nlohmann::json;

TokenizeOptions demo_options() {
  TokenizeOptions options;
  options.model = BERYL_SOURCE_DIR "/models/demo";
  return options;
}

std::string run(const TokenizeOptions& options, const std::string& input = "", int expected_exit_code = 0) {
  std::istringstream in(input);
  std::ostringstream out;
  EXPECT_EQ(run_tokenize(options, in, out), expected_exit_code);
  return out.str();
}

TEST(TokenizeCommand, PrintsIdsAndPieces) {
  TokenizeOptions options = demo_options();
  options.text = "<bos>\n\n a\"";
  EXPECT_EQ(run(options), "2\t\"<bos>\"\n108\t\"\\n\\n\"\n648\t\"\u2581a\"\n495\t\"\\\"\"\n");
  options.json = true;
  EXPECT_EQ(json::parse(run(options)),
            json({{"ids", {2, 108, 648, 495}}, {"tokens", {"<bos>", "\n\n", "\u2581a", "\""}}}));
}

TEST(TokenizeCommand, TakesAFileAsWellAsItsFolder) {
  TokenizeOptions options = demo_options();
  options.text = "a b";
  const std::string expected = run(options);
  options.model /= "tokenizer.json";
  EXPECT_EQ(run(options), expected);
  options.model = "no/such/model";
  EXPECT_THROW(run(options), Error);
}

TEST(TokenizeCommand, ReadsTheTextFromInputWhenThereIsNone) {
  TokenizeOptions options = demo_options();
  options.json = true;
  EXPECT_EQ(json::parse(run(options, "\n\n"))["ids"], json({108}));
  EXPECT_EQ(json::parse(run(options, ""))["ids"], json::array());
}

TEST(TokenizeCommand, TreatsSpecialTokensAsAsked) {
  TokenizeOptions options = demo_options();
  options.json = true;
  options.text = "<bos>";
  options.special_tokens = text::SpecialTokens::kAsText;
  EXPECT_NE(json::parse(run(options))["ids"], json({2}));
  options.decode_ids = {2, 648};
  EXPECT_EQ(json::parse(run(options)), json({{"text", "<bos> a"}}));
  options.special_output = text::SpecialOutput::kSkip;
  EXPECT_EQ(json::parse(run(options)), json({{"text", " a"}}));
  options.json = false;
  EXPECT_EQ(run(options), " a\n");
}

TEST(TokenizeCommand, AnswersLineByLine) {
  TokenizeOptions options = demo_options();
  options.stdin_json = true;
  const std::string input =
      "{\"text\": \"<bos>\"}\n"
      "{\"text\": \"<bos>\", \"special\": false}\n"
      "{\"ids\": [2, 648]}\n"
      "{\"ids\": [2, 648], \"skip_special\": true}\n"
      "{\"ids\": [648, 478, 397, 404, 391], \"stream\": true}\n";
  std::istringstream lines(run(options, input));
  std::vector<json> replies;
  for (std::string line; std::getline(lines, line);) replies.push_back(json::parse(line));
  ASSERT_EQ(replies.size(), 5U);
  EXPECT_EQ(replies[0], json({{"ids", {2}}}));
  EXPECT_GT(replies[1]["ids"].size(), 1U);
  EXPECT_EQ(replies[2], json({{"text", "<bos> a"}}));
  EXPECT_EQ(replies[3], json({{"text", " a"}}));
  EXPECT_EQ(replies[4], json({{"pieces", {" a", "", "", "", "\U0001F999", ""}}}));
}

TEST(TokenizeCommand, FaultyLinesDoNotStopTheOthers) {
  TokenizeOptions options = demo_options();
  options.stdin_json = true;
  for (const std::string line : {"", "x", "\xFF", "{\"text\": \"\xFF\"}", "[]", "1", "{}", "{\"text\": 1}",
                                 "{\"ids\": 1}", "{\"ids\": [-1]}", "{\"ids\": [1.5]}", "{\"ids\": [2048]}",
                                 "{\"ids\": [4294967296]}", "{\"text\": \"a\", \"special\": 1}"}) {
    std::istringstream lines(run(options, line + "\n{\"ids\": [648]}\n", 1));
    std::string reply;
    std::getline(lines, reply);
    EXPECT_TRUE(json::parse(reply).contains("error")) << line << " -> " << reply;
    std::getline(lines, reply);
    EXPECT_EQ(json::parse(reply), json({{"text", " a"}}));
  }
}

}  // namespace
}  // namespace beryl::cli
