// The lists of the demo model's tokenizer against its tokenizer.json, and lists that are refused.

#include "text/tokenizer_lists.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "text/tokenizer.h"

namespace beryl::text {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr int64_t kNormal = 1;
constexpr int64_t kUnknown = 2;
constexpr int64_t kControl = 3;
constexpr int64_t kUserDefined = 4;
constexpr int64_t kByte = 6;

// Lists with the texts that they refer to.
struct OwnedLists {
  std::vector<std::string> tokens;
  std::vector<int64_t> types;
  std::vector<std::string> merges;

  TokenizerLists view() const {
    return {
        .tokens = {tokens.begin(), tokens.end()}, .types = types, .merges = {merges.begin(), merges.end()}};
  }
};

// As llama.cpp's converter writes a tokenizer.json of Gemma 4.
OwnedLists lists_of(const json& file) {
  static const std::set<std::string> kVisible = {"<|channel>",   "<channel|>",       "<|tool_call>",
                                                 "<tool_call|>", "<|tool_response>", "<tool_response|>",
                                                 "<|\"|>"};
  OwnedLists lists;
  const json& vocabulary = file["model"]["vocab"];
  lists.tokens.resize(vocabulary.size());
  for (const auto& [text, id] : vocabulary.items()) lists.tokens[id.get<size_t>()] = text;
  for (const std::string& token : lists.tokens) {
    lists.types.push_back(token.starts_with("<0x") ? kByte : kNormal);
  }
  for (const json& added : file["added_tokens"]) {
    const bool is_visible = kVisible.contains(added["content"].get<std::string>());
    lists.types[added["id"].get<size_t>()] = is_visible ? kUserDefined : kControl;
  }
  for (const json& merge : file["model"]["merges"]) {
    lists.merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  }
  return lists;
}

// All bytes, two letters and what they make, and two special tokens.
OwnedLists small_lists() {
  OwnedLists lists;
  for (int byte = 0; byte < 256; ++byte) lists.tokens.push_back(fmt::format("<0x{:02X}>", byte));
  lists.types.assign(256, kByte);
  for (const char* token : {"a", "b", "ab", "\xE2\x96\x81"}) lists.tokens.emplace_back(token);
  lists.types.insert(lists.types.end(), 4, kNormal);
  lists.tokens.insert(lists.tokens.end(), {"<bos>", "<unk>"});
  lists.types.insert(lists.types.end(), {kControl, kUnknown});
  lists.merges = {"a b"};
  return lists;
}

void expect_refused(const OwnedLists& lists, ErrorCode code, const std::string& text) {
  try {
    make_tokenizer_tables(lists.view(), "x.gguf");
    ADD_FAILURE() << "not refused: " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.message();
    EXPECT_THAT(error.message(), HasSubstr("x.gguf: tokenizer.ggml."));
    EXPECT_THAT(error.message(), HasSubstr(text));
  }
}

TEST(TokenizerListsTest, DemoListsEqualItsTokenizerJson) {
  const std::string path = BERYL_SOURCE_DIR "/models/demo/tokenizer.json";
  const OwnedLists lists = lists_of(json::parse(std::ifstream(path)));
  const Tokenizer from_lists(make_tokenizer_tables(lists.view(), "lists"));
  const Tokenizer from_json = load_tokenizer(path);

  ASSERT_EQ(from_lists.vocabulary_size(), from_json.vocabulary_size());
  for (int32_t id = 0; id < from_json.vocabulary_size(); ++id) {
    EXPECT_EQ(from_lists.token_text(id), from_json.token_text(id));
    EXPECT_EQ(from_lists.is_special(id), from_json.is_special(id)) << from_json.token_text(id);
  }
  const json vectors = json::parse(std::ifstream(BERYL_SOURCE_DIR "/testdata/tokenizer/demo_vectors.json"));
  size_t compared = 0;
  for (const json& entry : vectors["encode"]) {
    const std::string text = entry["text"];
    const auto ids = from_lists.encode(text, SpecialTokens::kRecognise);
    EXPECT_EQ(ids, entry["ids"].get<std::vector<int32_t>>()) << text;
    EXPECT_EQ(ids, from_json.encode(text, SpecialTokens::kRecognise)) << text;
    EXPECT_EQ(from_lists.encode(text, SpecialTokens::kAsText),
              from_json.encode(text, SpecialTokens::kAsText));
    for (const SpecialOutput output : {SpecialOutput::kKeep, SpecialOutput::kSkip}) {
      EXPECT_EQ(from_lists.decode(ids, output), from_json.decode(ids, output)) << text;
    }
    ++compared;
  }
  EXPECT_GT(compared, 50U);
}

TEST(TokenizerListsTest, ControlUserDefinedAndUnknownTokensAreSpecial) {
  OwnedLists lists = small_lists();
  lists.tokens.emplace_back("<|\"|>");
  lists.types.push_back(kUserDefined);
  const Tokenizer tokenizer(make_tokenizer_tables(lists.view(), "lists"));
  EXPECT_EQ(tokenizer.special_tokens().size(), 3U);
  EXPECT_EQ(tokenizer.encode("ab<unk>a<|\"|>", SpecialTokens::kRecognise),
            (std::vector<int32_t>{258, 261, 256, 262}));
}

TEST(TokenizerListsTest, RefusesListsOfDifferentLengths) {
  OwnedLists lists = small_lists();
  lists.types.pop_back();
  expect_refused(lists, ErrorCode::kInvalidInput,
                 "token_type has 261 elements, tokenizer.ggml.tokens has 262");
}

TEST(TokenizerListsTest, RefusesUnknownAndContradictingTypes) {
  for (const int64_t type : {int64_t{0}, int64_t{7}, int64_t{-1}}) {
    OwnedLists lists = small_lists();
    lists.types[256] = type;
    expect_refused(lists, ErrorCode::kInvalidInput, "token_type[256] is");
  }
  OwnedLists lists = small_lists();
  lists.types[10] = kNormal;
  expect_refused(lists, ErrorCode::kInvalidInput, "token_type[10] is 1, but the token is '<0x0A>'");
  lists = small_lists();
  lists.types[256] = kByte;
  expect_refused(lists, ErrorCode::kInvalidInput, "token_type[256] is 6, but the token is 'a'");
}

TEST(TokenizerListsTest, RefusesSpecialTokensThatPlainTextCouldBecome) {
  OwnedLists lists = small_lists();
  lists.types[257] = kUserDefined;
  expect_refused(lists, ErrorCode::kUnsupported, "'b' is one character");
  lists = small_lists();
  lists.types[258] = kControl;
  expect_refused(lists, ErrorCode::kUnsupported, "merges[0] involves 'ab', a special token");
}

TEST(TokenizerListsTest, RefusesMergesThatAreNone) {
  OwnedLists lists = small_lists();
  lists.merges.emplace_back("ab");
  expect_refused(lists, ErrorCode::kInvalidInput, "merges[1]: 'ab' is not two tokens");
  lists.merges.back() = "a b b";
  expect_refused(lists, ErrorCode::kInvalidInput, "merges[1]: 'a b b' is not two tokens");
  lists.merges.back() = "b a";
  expect_refused(lists, ErrorCode::kInvalidInput, "merges[1]: 'ba' is not in the vocabulary");
  lists.merges.back() = "a b";
  expect_refused(lists, ErrorCode::kInvalidInput, "merges 0 and 1 join the same pair");
}

TEST(TokenizerListsTest, RefusesBrokenUtf8AndMissingBytes) {
  OwnedLists lists = small_lists();
  lists.tokens[257] = "\xFF";
  expect_refused(lists, ErrorCode::kInvalidInput, "tokens[257] is not valid UTF-8");
  lists = small_lists();
  lists.merges[0] = "a \xFF";
  expect_refused(lists, ErrorCode::kInvalidInput, "merges[0] is not valid UTF-8");
  lists = small_lists();
  lists.tokens[10] = "c";
  lists.types[10] = kNormal;
  expect_refused(lists, ErrorCode::kInvalidInput, "there is no token '<0x0A>'");
}

}  // namespace
}  // namespace beryl::text
