#include "text/output_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"

namespace beryl::text {
namespace {

using Kind = OutputDelta::Kind;
using ::testing::ElementsAre;

// A marker, or a piece of text.
struct Piece {
  std::optional<OutputMarker> marker;
  std::string text;
};

constexpr std::array kAllMarkers{OutputMarker::kChannelOpen,      OutputMarker::kChannelClose,
                                 OutputMarker::kToolCallOpen,     OutputMarker::kToolCallClose,
                                 OutputMarker::kToolResponseOpen, OutputMarker::kQuote,
                                 OutputMarker::kTurnClose,        OutputMarker::kEndOfText};

// Cuts `generated` at the markers that are spelt in it.
std::vector<Piece> split(std::string_view generated) {
  std::vector<Piece> pieces;
  std::string text;
  const auto flush = [&] {
    if (!text.empty()) pieces.push_back({std::nullopt, std::exchange(text, {})});
  };
  while (!generated.empty()) {
    size_t taken = 1;
    for (const OutputMarker marker : kAllMarkers) {
      if (!generated.starts_with(marker_text(marker))) continue;
      taken = marker_text(marker).size();
      flush();
      pieces.push_back({marker, std::string(marker_text(marker))});
    }
    if (taken == 1) text += generated[0];
    generated.remove_prefix(taken);
  }
  flush();
  return pieces;
}

// Cuts the text pieces further: at byte `at` of the whole, or with `at` = npos between all bytes.
std::vector<Piece> cut(const std::vector<Piece>& pieces, size_t at) {
  std::vector<Piece> result;
  size_t begin = 0;
  for (const Piece& piece : pieces) {
    const size_t end = begin + piece.text.size();
    if (!piece.marker && at == std::string::npos) {
      for (const char c : piece.text) result.push_back({std::nullopt, std::string(1, c)});
    } else if (!piece.marker && at > begin && at < end) {
      result.push_back({std::nullopt, piece.text.substr(0, at - begin)});
      result.push_back({std::nullopt, piece.text.substr(at - begin)});
    } else {
      result.push_back(piece);
    }
    begin = end;
  }
  return result;
}

struct Parsed {
  ParsedOutput output;
  std::vector<OutputDelta> deltas;
};

Parsed parse(const std::vector<Piece>& pieces, OutputStart start = OutputStart::kContent,
             OutputEnd end = OutputEnd::kStopped) {
  OutputParser parser(start);
  Parsed parsed;
  const auto add = [&](const std::vector<OutputDelta>& deltas) {
    parsed.deltas.insert(parsed.deltas.end(), deltas.begin(), deltas.end());
  };
  for (const Piece& piece : pieces) {
    add(piece.marker ? parser.push_marker(*piece.marker) : parser.push_text(piece.text));
  }
  add(parser.finish(end));
  parsed.output = parser.output();
  return parsed;
}

// What a client makes of the deltas, and the rules that every sequence of them keeps.
ParsedOutput assemble(const std::vector<OutputDelta>& deltas, const std::string& generated) {
  ParsedOutput output;
  std::vector<ParsedToolCall> calls;
  std::string raw;
  std::string repeated;  // raw of calls that broke
  std::string call_raw;
  bool is_in_call = false;
  for (const OutputDelta& delta : deltas) {
    raw += delta.raw;
    switch (delta.kind) {
      case Kind::kReasoning:
        output.reasoning += delta.text;
        EXPECT_TRUE(delta.raw == delta.text || "\n" + delta.raw == delta.text);
        break;
      case Kind::kContent:
        output.content += delta.text;
        EXPECT_EQ(delta.text, repeated + delta.raw);
        repeated.clear();
        break;
      case Kind::kSyntax:
        EXPECT_EQ(delta.text, "");
        EXPECT_TRUE(delta.raw == "thought\n" || delta.raw == "thought" || delta.raw == "\n" ||
                    find_output_marker(delta.raw))
            << delta.raw;
        break;
      case Kind::kCallBegin:
        EXPECT_FALSE(is_in_call);
        is_in_call = true;
        call_raw = delta.raw;
        EXPECT_EQ(delta.call_index, static_cast<int32_t>(calls.size()));
        calls.push_back({.index = delta.call_index, .name = delta.text, .arguments = {}});
        break;
      case Kind::kCallArguments:
      case Kind::kCallEnd:
      case Kind::kCallBroken:
        EXPECT_TRUE(is_in_call);
        EXPECT_EQ(delta.call_index, calls.back().index);
        call_raw += delta.raw;
        if (delta.kind == Kind::kCallArguments) {
          EXPECT_NE(delta.text, "");
          calls.back().arguments += delta.text;
          break;
        }
        is_in_call = false;
        EXPECT_EQ(nlohmann::json::accept(calls.back().arguments), delta.kind == Kind::kCallEnd)
            << calls.back().arguments;
        if (delta.kind == Kind::kCallEnd) output.tool_calls.push_back(calls.back());
        if (delta.kind == Kind::kCallBroken) repeated = call_raw;
        break;
    }
  }
  EXPECT_FALSE(is_in_call);
  EXPECT_EQ(repeated, "");
  EXPECT_EQ(raw, generated);
  return output;
}

void expect_same(const ParsedOutput& a, const ParsedOutput& b) {
  EXPECT_EQ(a.reasoning, b.reasoning);
  EXPECT_EQ(a.content, b.content);
  ASSERT_EQ(a.tool_calls.size(), b.tool_calls.size());
  for (size_t i = 0; i < a.tool_calls.size(); ++i) {
    EXPECT_EQ(a.tool_calls[i].index, b.tool_calls[i].index);
    EXPECT_EQ(a.tool_calls[i].name, b.tool_calls[i].name);
    EXPECT_EQ(a.tool_calls[i].arguments, b.tool_calls[i].arguments);
  }
}

using Calls = std::vector<std::pair<std::string, std::string>>;  // name, arguments

struct Case {
  std::string generated;
  std::string reasoning;
  std::string content;
  Calls calls = {};
  OutputStart start = OutputStart::kContent;
};

// However the text is cut, the result is the expected one, and the deltas put together are the result.
void expect_parsed(const Case& expected) {
  SCOPED_TRACE(expected.generated);
  const std::vector<Piece> pieces = split(expected.generated);
  const Parsed whole = parse(pieces, expected.start);
  EXPECT_EQ(whole.output.reasoning, expected.reasoning);
  EXPECT_EQ(whole.output.content, expected.content);
  Calls calls;
  for (const ParsedToolCall& call : whole.output.tool_calls) calls.emplace_back(call.name, call.arguments);
  EXPECT_EQ(calls, expected.calls);
  EXPECT_EQ(whole.output.finish_reason, calls.empty() ? FinishReason::kStop : FinishReason::kToolCalls);
  for (size_t at = 0; at <= expected.generated.size(); ++at) {
    const size_t place = at < expected.generated.size() ? at : std::string::npos;
    const Parsed parsed = parse(cut(pieces, place), expected.start);
    expect_same(parsed.output, whole.output);
    expect_same(assemble(parsed.deltas, expected.generated), whole.output);
    if (::testing::Test::HasFailure()) {
      ADD_FAILURE() << "cut at byte " << at;
      return;
    }
  }
}

TEST(OutputParserTest, SeparatesReasoningFromContent) {
  expect_parsed({"Hello there.<turn|>", "", "Hello there."});
  expect_parsed({"Hello.<eos>", "", "Hello."});
  expect_parsed({"", "", ""});
  expect_parsed({"<|channel>thought\nLet me see.\n<channel|>It is 4.<turn|>", "Let me see.", "It is 4."});
  expect_parsed({"<|channel>thought\nOne\n\ntwo<channel|>\n\nIt is 4.", "One\n\ntwo", "\n\nIt is 4."});
  expect_parsed({"<|channel>thought\nends with two\n\n<channel|>x", "ends with two\n", "x"});
  expect_parsed({"Well.<|channel>thought\nmore<channel|>Done.", "more", "Well.Done."});
}

TEST(OutputParserTest, StripsTheLabelOnlyWhereItIsTheLabel) {
  expect_parsed({"<|channel>thoughtful\n<channel|>x", "thoughtful", "x"});
  expect_parsed({"<|channel>thought \nabc<channel|>x", "thought \nabc", "x"});
  expect_parsed({"<|channel>thou<channel|>x", "thou", "x"});
  expect_parsed({"<|channel>final\nabc<channel|>x", "final\nabc", "x"});
  expect_parsed({"<|channel>\nabc<channel|>x", "\nabc", "x"});
  expect_parsed({"<|channel>thought\nthought\nabc<channel|>x", "thought\nabc", "x"});
  expect_parsed({"thought\nabc", "", "thought\nabc"});
}

TEST(OutputParserTest, AcceptsOddThoughts) {
  expect_parsed({"<|channel>thought\n<channel|>Hi", "", "Hi"});
  expect_parsed({"<|channel>thought\n\n<channel|>Hi", "", "Hi"});
  expect_parsed({"<|channel>thought<channel|>Hi", "", "Hi"});
  expect_parsed({"<|channel><channel|>Hi", "", "Hi"});
  expect_parsed({"<|channel>thought\na\n<channel|><|channel>thought\nb\n<channel|>Hi", "a\nb", "Hi"});
  expect_parsed(
      {"<|channel>thought\na<channel|>x<|channel>thought\n<channel|><|channel>b<channel|>y", "a\nb", "xy"});
  expect_parsed({"<channel|>Hi<channel|>", "", "Hi"});
  expect_parsed({"Hi<|channel>thought\n<channel|><turn|>", "", "Hi"});
  expect_parsed({"<|channel><|channel>thought\na<channel|>Hi", "a", "Hi"});
  expect_parsed({"<|channel>thought<|channel>thought\na<channel|>Hi", "a", "Hi"});
  expect_parsed({"<|channel>thought\na\n<|channel>thought\nb<channel|>Hi", "a\nb", "Hi"});
  expect_parsed({"<|channel>thought\nsay <|\"|>x<|\"|>\n<channel|>Hi", "say <|\"|>x<|\"|>", "Hi"});
  expect_parsed({"<|channel>thought<|\"|>x<channel|>Hi", "thought<|\"|>x", "Hi"});
}

TEST(OutputParserTest, AnUnfinishedThoughtIsReasoning) {
  expect_parsed({"<|channel>thought\nOn and on\n", "On and on\n", ""});
  expect_parsed({"<|channel>thought", "", ""});
  expect_parsed({"<|channel>thou", "thou", ""});
  expect_parsed({"<|channel>", "", ""});
  expect_parsed({"<|channel>thought\nabc<turn|>", "abc", ""});
}

TEST(OutputParserTest, MayStartInsideOfAThought) {
  expect_parsed({"It says 20.\n<channel|>20 C.<turn|>", "It says 20.", "20 C.", {}, OutputStart::kReasoning});
  expect_parsed({"thought\nx<channel|>y", "thought\nx", "y", {}, OutputStart::kReasoning});
  expect_parsed({"<channel|>y", "", "y", {}, OutputStart::kReasoning});
  expect_parsed({"<|channel>thought\nx<channel|>y", "x", "y", {}, OutputStart::kReasoning});
  expect_parsed({"a<|tool_call>call:f{}<tool_call|>", "a", "", {{"f", "{}"}}, OutputStart::kReasoning});
  expect_parsed({"never ends", "never ends", "", {}, OutputStart::kReasoning});
}

TEST(OutputParserTest, ReadsToolCalls) {
  expect_parsed({"<|tool_call>call:ping{}<tool_call|><|tool_response>", "", "", {{"ping", "{}"}}});
  expect_parsed({"<|tool_call>call:get_weather{city:<|\"|>Paris<|\"|>,n:3}<tool_call|><turn|>",
                 "",
                 "",
                 {{"get_weather", R"({"city":"Paris","n":3})"}}});
  expect_parsed(
      {"Let me look.<|tool_call>call:f{a:1}<tool_call|>", "", "Let me look.", {{"f", R"({"a":1})"}}});
  expect_parsed(
      {"<|tool_call>call:f{a:1}<tool_call|><|tool_call>call:g.h-i{b:[]}<tool_call|><|tool_response>",
       "",
       "",
       {{"f", R"({"a":1})"}, {"g.h-i", R"({"b":[]})"}}});
  expect_parsed({"<|channel>thought\nhm\n<|tool_call>call:f{}<tool_call|>", "hm", "", {{"f", "{}"}}});
  expect_parsed(
      {"<|channel>thought\nhm\n<channel|><|tool_call>call:f{}<tool_call|>", "hm", "", {{"f", "{}"}}});
}

TEST(OutputParserTest, AcceptsOddCalls) {
  expect_parsed({"<|tool_call>call:f{}<tool_call|><tool_call|><tool_call|>", "", "", {{"f", "{}"}}});
  expect_parsed({"<|tool_call>call:f{}<tool_call|><|tool_response><|tool_response>", "", "", {{"f", "{}"}}});
  expect_parsed({"<|tool_call>call:f{}", "", "", {{"f", "{}"}}});
  expect_parsed({"<|tool_call>call:f{a:b} \n", "", "", {{"f", R"({"a":"b"})"}}});
  expect_parsed({"<|tool_call>call:f{}<turn|>", "", "", {{"f", "{}"}}});
  expect_parsed({"<|tool_call>call:f{}<|tool_response>", "", "", {{"f", "{}"}}});
  expect_parsed({"<|tool_call>call:f{}<|tool_call>call:g{}<tool_call|>", "", "", {{"f", "{}"}, {"g", "{}"}}});
  expect_parsed({"<|tool_call>call:f{}\n<tool_call|>\nok", "", "\nok", {{"f", "{}"}}});
  expect_parsed({"<tool_call|>x<|tool_response>y", "", "xy"});
}

TEST(OutputParserTest, StringsMayHoldAnything) {
  expect_parsed({"<|tool_call>call:f{code:<|\"|>if (a) { b[\"x\"] = ','; }\n\t\\<|\"|>}<tool_call|>",
                 "",
                 "",
                 {{"f", R"({"code":"if (a) { b[\"x\"] = ','; }\n\t\\"})"}}});
  expect_parsed({"<|tool_call>call:f{a:<|\"|>}<tool_call|><|tool_call>call:g{<|\"|>}<tool_call|>",
                 "",
                 "",
                 {{"f", R"({"a":"}<tool_call|><|tool_call>call:g{"})"}}});
  expect_parsed({"<|tool_call>call:f{a:<|\"|><|channel>thought\nx<channel|><|\"|>}<tool_call|>",
                 "",
                 "",
                 {{"f", R"({"a":"<|channel>thought\nx<channel|>"})"}}});
}

// Malformed calls come back literally, with or without a name having been announced before.
TEST(OutputParserTest, MalformedCallsAreContent) {
  for (const std::string call :
       {"<|tool_call><tool_call|>", "<|tool_call>f{a:1}<tool_call|>", "<|tool_call>call:{}<tool_call|>",
        "<|tool_call>call:f g{}<tool_call|>", "<|tool_call>call:f<tool_call|>",
        "<|tool_call>call:f{a}<tool_call|>", "<|tool_call>call:f{a:1<tool_call|>",
        "<|tool_call>call:f{a:[1}<tool_call|>", "<|tool_call>call:f{}}<tool_call|>",
        "<|tool_call>call:f{a:x<|\"|>y<|\"|>}<tool_call|>",
        "<|tool_call>call:f{a:<|\"|>x<|\"|>y}<tool_call|>", "<|tool_call>call:f{:1}<tool_call|>",
        "<|tool_call>call:f{}<|\"|>x<|\"|><tool_call|>", "<|tool_call>call<|\"|>x<tool_call|>"}) {
    expect_parsed({"Hi " + call + " there", "", "Hi " + call + " there"});
    expect_parsed({call + "<|tool_call>call:g{}<tool_call|>", "", call, {{"g", "{}"}}});
    expect_parsed({"<|channel>thought\nx<channel|>" + call, "x", call});
  }
  expect_parsed({"<|tool_call>call:f{a:1<|channel>thought\nx<channel|>", "x", "<|tool_call>call:f{a:1"});
  expect_parsed({"<|tool_call><|tool_call>call:f{}<tool_call|>", "", "<|tool_call>", {{"f", "{}"}}});
}

TEST(OutputParserTest, CallsThatAreCutOffAreContent) {
  for (const std::string call :
       {"<|tool_call>", "<|tool_call>call:", "<|tool_call>call:f", "<|tool_call>call:f{",
        "<|tool_call>call:f{a", "<|tool_call>call:f{a:tru", "<|tool_call>call:f{a:<|\"|>rm -rf /",
        "<|tool_call>call:f{a:<|\"|>x<|\"|>", "<|tool_call>call:f{a:[1,2]"}) {
    expect_parsed({call, "", call});
    expect_parsed({call + "<turn|>", "", call});
  }
}

TEST(OutputParserTest, NameAndStringsAreStreamedAtOnce) {
  OutputParser parser(OutputStart::kContent);
  EXPECT_TRUE(parser.push_marker(OutputMarker::kToolCallOpen).empty());
  EXPECT_TRUE(parser.push_text("call:f").empty());
  std::vector<OutputDelta> deltas = parser.push_text("{");
  ASSERT_FALSE(deltas.empty());
  EXPECT_EQ(deltas[0].kind, Kind::kCallBegin);
  EXPECT_EQ(deltas[0].text, "f");
  parser.push_text("a:");
  parser.push_marker(OutputMarker::kQuote);
  deltas = parser.push_text("Par");
  ASSERT_EQ(deltas.size(), 1U);
  EXPECT_EQ(deltas[0].kind, Kind::kCallArguments);
  EXPECT_EQ(deltas[0].text, "Par");
  parser.push_marker(OutputMarker::kQuote);
  parser.push_text(",b:");
  EXPECT_TRUE(parser.push_text("tr").empty());  // may still become anything
  EXPECT_TRUE(parser.push_text("ue").empty());
  deltas = parser.push_text("}");
  ASSERT_EQ(deltas.size(), 1U);
  EXPECT_EQ(deltas[0].text, "true");
}

TEST(OutputParserTest, TextIsNotHeldBackWithoutNeed) {
  OutputParser parser(OutputStart::kContent);
  EXPECT_EQ(parser.push_text("a\n").at(0).text, "a\n");
  parser.push_marker(OutputMarker::kChannelOpen);
  EXPECT_TRUE(parser.push_text("tho").empty());
  EXPECT_EQ(parser.push_text("se").at(0).text, "those");
  EXPECT_EQ(parser.push_text(" x\n").at(0).text, " x");
  EXPECT_EQ(parser.push_text("y").at(0).text, "\ny");
}

TEST(OutputParserTest, FinishReasons) {
  const auto reason = [](std::string_view generated, OutputEnd end) {
    return parse(split(generated), OutputStart::kContent, end).output.finish_reason;
  };
  EXPECT_EQ(reason("Hi<turn|>", OutputEnd::kStopped), FinishReason::kStop);
  EXPECT_EQ(reason("Hi<eos>", OutputEnd::kStopped), FinishReason::kStop);
  EXPECT_EQ(reason("Hi", OutputEnd::kLength), FinishReason::kLength);
  EXPECT_EQ(reason("<|tool_call>call:f{}<tool_call|><|tool_response>", OutputEnd::kStopped),
            FinishReason::kToolCalls);
  EXPECT_EQ(reason("<|tool_call>call:f{}<tool_call|><turn|>", OutputEnd::kStopped), FinishReason::kToolCalls);
  EXPECT_EQ(reason("<|tool_call>call:f{}<tool_call|>", OutputEnd::kLength), FinishReason::kLength);
  EXPECT_EQ(reason("<|tool_call>call:f{a:<turn|>", OutputEnd::kStopped), FinishReason::kStop);
  EXPECT_EQ(reason("Hi<|tool_response>", OutputEnd::kStopped), FinishReason::kStop);
}

TEST(OutputParserTest, MarkersAreFoundByTheirSpelling) {
  for (const OutputMarker marker : kAllMarkers) EXPECT_EQ(find_output_marker(marker_text(marker)), marker);
  EXPECT_FALSE(find_output_marker("<bos>"));
  EXPECT_FALSE(find_output_marker(""));
}

// The template of the published models wrote these calls (tools/make_tool_call_vectors.py).
TEST(OutputParserTest, ReadsBackWhatTheTemplateWrites) {
  const auto path = std::filesystem::path(BERYL_SOURCE_DIR) / "testdata/tool_calls/rendered.json";
  const nlohmann::json cases = nlohmann::json::parse(read_text_file(path, 1 << 20));
  ASSERT_EQ(cases.size(), 200U);
  for (const nlohmann::json& rendered : cases) {
    const std::string generated = rendered["rendered"];
    const Parsed parsed = parse(split(generated));
    ASSERT_EQ(parsed.output.tool_calls.size(), 1U) << generated;
    EXPECT_EQ(parsed.output.tool_calls[0].name, "f");
    EXPECT_EQ(nlohmann::json::parse(parsed.output.tool_calls[0].arguments), rendered["arguments"])
        << generated;
    EXPECT_EQ(parsed.output.content, "");
    expect_same(assemble(parsed.deltas, generated), parsed.output);
  }
}

// Of everything that was generated, each byte is in exactly one delta; deltas and result agree; and cutting
// the text differently changes neither.
TEST(OutputParserTest, RandomOutputIsNeverLost) {
  constexpr std::array<std::string_view, 24> kTexts{
      "thought", "\n",  "thought\n", "call:", "f",    "{",       "}",  "[",  "]",  ",", ":",   "a",
      "b",       "1.5", "true",      " ",     "null", "call:f{", "a:", "\"", "\\", "é", "x y", "-"};
  std::mt19937 generator(3);
  std::uniform_int_distribution<size_t> pick_count(0, 24);
  std::uniform_int_distribution<size_t> pick_piece(0, kTexts.size() + kAllMarkers.size() + 3);
  for (int round = 0; round < 100'000; ++round) {
    std::vector<Piece> pieces;
    std::string generated;
    for (size_t count = pick_count(generator); count > 0; --count) {
      const size_t choice = pick_piece(generator);
      if (choice < kTexts.size()) {
        pieces.push_back({std::nullopt, std::string(kTexts[choice])});
      } else {
        const size_t index = (choice - kTexts.size()) % kAllMarkers.size();
        pieces.push_back({kAllMarkers[index], std::string(marker_text(kAllMarkers[index]))});
      }
      generated += pieces.back().text;
    }
    const OutputStart start = round % 2 == 0 ? OutputStart::kContent : OutputStart::kReasoning;
    const OutputEnd end = round % 3 == 0 ? OutputEnd::kLength : OutputEnd::kStopped;
    const Parsed parsed = parse(pieces, start, end);
    expect_same(assemble(parsed.deltas, generated), parsed.output);
    const Parsed bytewise = parse(cut(pieces, std::string::npos), start, end);
    expect_same(bytewise.output, parsed.output);
    expect_same(assemble(bytewise.deltas, generated), parsed.output);
    ASSERT_FALSE(HasFailure()) << generated;
  }
}

}  // namespace
}  // namespace beryl::text
