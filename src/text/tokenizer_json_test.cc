#include "text/tokenizer_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace beryl::text {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// The demo model's file, 2,048 tokens in the form of Google's.
std::string demo_text() {
  return read_text_file(BERYL_SOURCE_DIR "/models/demo/tokenizer.json", kTokenizerFileBytesMax);
}

json demo_json() {
  return parse_json(demo_text(), "demo");
}

std::string complaint(const std::string& text, ErrorCode* code = nullptr) {
  try {
    parse_tokenizer_json(text, "t.json");
  } catch (const Error& error) {
    if (code != nullptr) *code = error.code();
    EXPECT_THAT(error.message(), testing::StartsWith("t.json: "));
    return error.message();
  }
  return "nothing";
}

// What is said about the demo file with the value at `pointer` replaced.
std::string complaint_about(const char* pointer, json value, ErrorCode code) {
  json file = demo_json();
  file[json::json_pointer(pointer)] = std::move(value);
  ErrorCode found = ErrorCode::kIo;
  const std::string message = complaint(file.dump(), &found);
  EXPECT_EQ(found, code) << pointer << ": " << message;
  return message;
}

TEST(TokenizerJson, HoldsWhatTheFileSays) {
  const json file = demo_json();
  const TokenizerTables tables = parse_tokenizer_json(demo_text(), "demo");
  ASSERT_EQ(tables.vocabulary.size(), 2048);
  for (const auto& [token, id] : file["model"]["vocab"].items()) {
    ASSERT_EQ(tables.vocabulary.text(id.get<int32_t>()), token);
  }
  const json& merges = file["model"]["merges"];
  ASSERT_EQ(tables.merges.size(), merges.size());
  for (uint32_t rank = 0; rank < merges.size(); ++rank) {
    const std::string left = merges[rank][0].get<std::string>();
    const std::string right = merges[rank][1].get<std::string>();
    const auto find = [&](const std::string& token) { return tables.vocabulary.find(token).value(); };
    ASSERT_EQ(tables.merges.find_rank(find(left), find(right)), rank);
    ASSERT_EQ(tables.merges.product(rank), find(left + right));
  }
  ASSERT_EQ(tables.special_tokens.tokens().size(), 24U);
  for (const json& token : file["added_tokens"]) {
    EXPECT_EQ(tables.special_tokens.find(token["content"].get<std::string>()), token["id"].get<int32_t>());
  }
}

TEST(TokenizerJson, OrderAndLayoutDoNotMatter) {
  const json file = demo_json();  // nlohmann sorts members by name: vocabulary by text, merges before it
  for (const std::string& text : {file.dump(), file.dump(1), file.dump(-1, ' ', true)}) {
    const TokenizerTables tables = parse_tokenizer_json(text, "demo");
    EXPECT_EQ(tables.vocabulary.size(), 2048);
    EXPECT_EQ(tables.vocabulary.text(106), "<turn|>");
    EXPECT_EQ(tables.merges.size(), file["model"]["merges"].size());
  }
}

TEST(TokenizerJson, TakesMergesAsTheyWereOnceWritten) {
  json file = demo_json();
  for (json& merge : file["model"]["merges"]) {
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  const TokenizerTables old_form = parse_tokenizer_json(file.dump(), "old");
  const TokenizerTables new_form = parse_tokenizer_json(demo_text(), "new");
  ASSERT_EQ(old_form.merges.size(), new_form.merges.size());
  for (int32_t left = 0; left < 2048; ++left) {
    for (int32_t right = 0; right < 2048; ++right) {
      ASSERT_EQ(old_form.merges.find_rank(left, right), new_form.merges.find_rank(left, right));
    }
  }
}

TEST(TokenizerJson, AbsentAndNullMeanTheSame) {
  json file = demo_json();
  for (const char* name : {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges"}) {
    file["model"].erase(name);
  }
  file.erase("truncation");
  file["padding"] = {{"strategy", "BatchLongest"}};
  EXPECT_EQ(complaint(file.dump()), "nothing");
}

TEST(TokenizerJson, RefusesWhatItWouldTokenizeWrongly) {
  const auto refused = [](const char* pointer, json value) {
    return complaint_about(pointer, std::move(value), ErrorCode::kUnsupported);
  };
  EXPECT_THAT(refused("/model/type", "Unigram"),
              HasSubstr("model.type is \"Unigram\", Gemma's tokenizer has \"BPE\""));
  EXPECT_THAT(refused("/model/dropout", 0.1), HasSubstr("model.dropout is 0.1"));
  EXPECT_THAT(refused("/model/byte_fallback", false), HasSubstr("model.byte_fallback is false"));
  EXPECT_THAT(refused("/model/ignore_merges", true), HasSubstr("model.ignore_merges"));
  EXPECT_THAT(refused("/model/unk_token", nullptr), HasSubstr("model.unk_token is null"));
  EXPECT_THAT(refused("/model/fuse_unk", false), HasSubstr("model.fuse_unk"));
  EXPECT_THAT(refused("/model/end_of_word_suffix", "</w>"), HasSubstr("model.end_of_word_suffix"));
  EXPECT_THAT(refused("/model/novel", 1), HasSubstr("unknown field \"model.novel\""));
  EXPECT_THAT(refused("/version", "2.0"), HasSubstr("version is \"2.0\""));
  EXPECT_THAT(refused("/normalizer", nullptr), HasSubstr("normalizer is null"));
  EXPECT_THAT(refused("/normalizer", {{"type", "NFC"}}), HasSubstr("normalizer is {\"type\":\"NFC\"}"));
  EXPECT_THAT(refused("/normalizer/content", "_"), HasSubstr("normalizer"));
  EXPECT_THAT(refused("/pre_tokenizer", {{"type", "ByteLevel"}}), HasSubstr("pre_tokenizer"));
  EXPECT_THAT(refused("/post_processor/special_tokens/<bos>", json::object()), HasSubstr("post_processor"));
  EXPECT_THAT(refused("/decoder/decoders/3", {{"type", "Strip"}}), HasSubstr("decoder"));
  EXPECT_THAT(refused("/novel", 1), HasSubstr("unknown field \"novel\""));
  EXPECT_THAT(refused("/added_tokens/3/lstrip", true), HasSubstr("added_tokens[3].lstrip is not false"));
  EXPECT_THAT(refused("/added_tokens/3/normalized", true), HasSubstr("added_tokens[3].normalized"));
  EXPECT_THAT(refused("/added_tokens/3/special", false), HasSubstr("added_tokens[3].special is not true"));
  EXPECT_THAT(refused("/added_tokens/3/novel", 1), HasSubstr("added_tokens[3] has unknown fields"));
}

TEST(TokenizerJson, RefusesContradictions) {
  const auto refused = [](const char* pointer, json value) {
    return complaint_about(pointer, std::move(value), ErrorCode::kInvalidInput);
  };
  EXPECT_THAT(refused("/model/vocab/\u2581the", 2048), HasSubstr("model.vocab: no token has id "));
  EXPECT_THAT(refused("/model/vocab/\u2581the", 7), HasSubstr("both have id 7"));
  EXPECT_THAT(refused("/model/vocab/\u2581the", -1), HasSubstr("integer"));
  EXPECT_THAT(refused("/model/vocab/\u2581the", 1.5), HasSubstr("integer"));
  EXPECT_THAT(refused("/model/vocab/\u2581the", "1"), HasSubstr("integer"));
  EXPECT_THAT(refused("/model/vocab/novel", 1 << 20), HasSubstr("at most 1048576 tokens"));
  EXPECT_THAT(refused("/model/vocab/novel", 4294967296), HasSubstr("too large"));
  EXPECT_THAT(refused("/model/vocab", json::array()), HasSubstr("expected '{'"));
  EXPECT_THAT(refused("/model/merges", json::object()), HasSubstr("expected '['"));
  EXPECT_THAT(refused("/model/merges/5", {"a", "\u2603"}),
              HasSubstr("model.merges[5]: '\u2603' is not in the vocabulary"));
  EXPECT_THAT(refused("/model/merges/5", {"q", "q"}),
              HasSubstr("model.merges[5]: 'qq' is not in the vocabulary"));
  EXPECT_THAT(refused("/model/merges/5", {"a"}), HasSubstr("expected ','"));
  EXPECT_THAT(refused("/model/merges/5", {"a", "b", "c"}), HasSubstr("expected ']'"));
  EXPECT_THAT(refused("/model/merges/5", "ab"), HasSubstr("model.merges[5]: 'ab' is not two tokens"));
  EXPECT_THAT(refused("/model/merges/5", "a b c"), HasSubstr("model.merges[5]: 'a b c' is not two tokens"));
  EXPECT_THAT(refused("/model/merges/5", 5), HasSubstr("expected '\"'"));
  EXPECT_THAT(refused("/model/merges/5", demo_json()["model"]["merges"][4]),
              HasSubstr("merges 4 and 5 join the same pair"));
  EXPECT_THAT(refused("/added_tokens/2/id", 2048), HasSubstr("added_tokens[2]: id 2048 is outside"));
  EXPECT_THAT(refused("/added_tokens/2/id", -2), HasSubstr("added_tokens[2] is not an object with"));
  EXPECT_THAT(refused("/added_tokens/2/content", "<eos>"), HasSubstr("but model.vocab calls id 2 '<bos>'"));
  EXPECT_THAT(refused("/added_tokens/2", demo_json()["added_tokens"][1]), HasSubstr("there twice"));
  EXPECT_THAT(refused("/added_tokens", json::object()), HasSubstr("added_tokens is not an array"));
}

TEST(TokenizerJson, RefusesWhatWouldLetPlainTextBecomeSpecial) {
  json file = demo_json();
  const json& vocabulary = file["model"]["vocab"];
  json token = file["added_tokens"][0];
  token["content"] = "e";
  token["id"] = vocabulary["e"];
  file["added_tokens"].push_back(token);
  EXPECT_THAT(complaint(file.dump()), HasSubstr("added_tokens[24]: 'e' is one character or byte"));
  file["added_tokens"][24]["content"] = "<0x41>";
  file["added_tokens"][24]["id"] = vocabulary["<0x41>"];
  EXPECT_THAT(complaint(file.dump()), HasSubstr("added_tokens[24]: '<0x41>' is one character or byte"));
  file["added_tokens"][24]["content"] = "\n\n";
  file["added_tokens"][24]["id"] = vocabulary["\n\n"];
  EXPECT_THAT(complaint(file.dump()), HasSubstr("involves '\n\n', a special token or byte"));
}

TEST(TokenizerJson, NamesMissingFields) {
  for (const char* name :
       {"model", "added_tokens", "normalizer", "pre_tokenizer", "decoder", "version", "post_processor"}) {
    json file = demo_json();
    file.erase(name);
    EXPECT_EQ(complaint(file.dump()), std::string("t.json: there is no field \"") + name + "\"");
  }
  for (const char* name : {"vocab", "merges", "type", "unk_token", "byte_fallback", "fuse_unk"}) {
    json file = demo_json();
    file["model"].erase(name);
    EXPECT_EQ(complaint(file.dump()), std::string("t.json: there is no field \"model.") + name + "\"");
  }
}

TEST(TokenizerJson, RefusesTooManySpecialTokens) {
  json file = demo_json();
  const json token = file["added_tokens"][0];
  while (file["added_tokens"].size() <= kSpecialTokensMax) file["added_tokens"].push_back(token);
  EXPECT_THAT(complaint(file.dump()), HasSubstr("added_tokens has 4097 entries, at most 4096"));
}

TEST(TokenizerJson, RefusesTwins) {
  std::string text = demo_text();
  EXPECT_THAT(complaint("{\"version\":\"1.0\"," + text.substr(1)), HasSubstr("\"version\" is there twice"));
  const size_t place = text.find("\"vocab\": {") + 10;
  EXPECT_THAT(complaint(text.substr(0, place) + "\"<pad>\": 2048, " + text.substr(place)),
              HasSubstr("tokens 0 and 2048 have the same text '<pad>'"));
}

TEST(TokenizerJson, EveryPrefixIsRefused) {
  const std::string text = demo_json().dump();
  for (size_t size = 0; size < text.size(); size += 1 + size / 300) {
    ASSERT_NE(complaint(text.substr(0, size)), "nothing") << size;
  }
  EXPECT_NE(complaint(text.substr(0, text.size() - 1)), "nothing");
  EXPECT_THAT(complaint(text + "x"), HasSubstr("expected the end"));
}

TEST(TokenizerJson, RefusesBadUtf8AndOversize) {
  std::string text = demo_text();
  text[text.find("normalizer")] = '\xFF';
  EXPECT_THAT(complaint(text), HasSubstr("not valid UTF-8 at byte "));
  EXPECT_THAT(complaint(std::string(kTokenizerFileBytesMax + 1, ' ')), HasSubstr("at most 67108864"));
}

TEST(TokenizerJson, DepthIsHarmless) {
  json file = demo_json();
  std::string text = file.dump();
  const size_t place = text.find("\"normalizer\":") + 13;
  text.insert(place, std::string(100'000, '[') + std::string(100'000, ']') + ",\"x\":");
  EXPECT_THAT(complaint(text), HasSubstr("nested deeper"));
}

}  // namespace
}  // namespace beryl::text
