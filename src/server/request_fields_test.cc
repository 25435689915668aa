// The fields of chat and completion requests: what they become, and the limits they are held to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "server/api_for_tests.h"
#include "server/chat_request.h"
#include "server/completion_request.h"

namespace beryl::server {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class RequestFieldsTest : public testing::Test {
 protected:
  AnswerSettings read(const Json& more) {
    Json body = {{"prompt", "a"}};
    for (const auto& [name, value] : more.items()) body[name] = value;
    JsonFields fields(body);
    return read_completion_request(fields, model).settings;
  }
  ChatRequest read_chat(const Json& more) {
    Json body = {{"messages", {{{"role", "user"}, {"content", "Hi"}}}}};
    for (const auto& [name, value] : more.items()) body[name] = value;
    JsonFields fields(body);
    return read_chat_request(fields, model);
  }
  // The message of the error.
  static std::string refusal(ErrorCode code, const std::function<void()>& work) {
    try {
      work();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.message();
      return error.message();
    }
    return "";
  }
  std::string refusal_of(const Json& more, ErrorCode code = ErrorCode::kInvalidInput) {
    return refusal(code, [&] { read(more); });
  }
  std::string chat_refusal_of(const Json& more, ErrorCode code = ErrorCode::kInvalidInput) {
    return refusal(code, [&] { read_chat(more); });
  }

  ApiForTests setup;
  ApiModel model = setup.model();
};

TEST_F(RequestFieldsTest, TheModelsAuthorsSetTheDefaults) {
  const AnswerSettings settings = read(Json::object());
  EXPECT_EQ(settings.sampling.temperature, 1);
  EXPECT_EQ(settings.sampling.top_k, 64);
  EXPECT_EQ(settings.sampling.top_p, 0.95F);
  EXPECT_EQ(settings.samples, 1);
  EXPECT_EQ(settings.new_tokens_max, 16);
  EXPECT_FALSE(settings.sampling.top_logprobs);
  EXPECT_FALSE(settings.streams);
  EXPECT_NE(settings.sampling.seed, read(Json::object()).sampling.seed);
}

TEST_F(RequestFieldsTest, EveryFieldArrives) {
  const AnswerSettings settings = read({{"temperature", 0.5},
                                        {"top_p", 0.25},
                                        {"top_k", 7},
                                        {"min_p", 0.125},
                                        {"repetition_penalty", 1.5},
                                        {"presence_penalty", -1},
                                        {"frequency_penalty", 0.75},
                                        {"seed", 42},
                                        {"n", 3},
                                        {"max_tokens", 20},
                                        {"min_tokens", 5},
                                        {"stop", {"x", "y"}},
                                        {"stop_token_ids", {8, 9}},
                                        {"include_stop_str_in_output", true},
                                        {"ignore_eos", true},
                                        {"skip_special_tokens", false},
                                        {"logit_bias", {{"5", -100}, {"6", 1.5}}},
                                        {"logprobs", 4},
                                        {"priority", 3},
                                        {"cache_salt", "s"},
                                        {"prompt_logprobs", 2}});
  const engine::SamplingParams& sampling = settings.sampling;
  EXPECT_EQ(sampling.temperature, 0.5F);
  EXPECT_EQ(sampling.top_p, 0.25F);
  EXPECT_EQ(sampling.top_k, 7);
  EXPECT_EQ(sampling.min_p, 0.125F);
  EXPECT_EQ(sampling.repetition_penalty, 1.5F);
  EXPECT_EQ(sampling.presence_penalty, -1);
  EXPECT_EQ(sampling.frequency_penalty, 0.75F);
  EXPECT_EQ(sampling.seed, 42U);
  ASSERT_EQ(sampling.logit_bias.size(), 2U);
  EXPECT_EQ(sampling.logit_bias[0].token, 5);
  EXPECT_EQ(sampling.logit_bias[0].bias, -100);
  EXPECT_EQ(sampling.top_logprobs, 4);
  EXPECT_EQ(settings.samples, 3);
  EXPECT_EQ(settings.new_tokens_max, 20);
  EXPECT_EQ(settings.new_tokens_min, 5);
  EXPECT_THAT(settings.stops, ElementsAre("x", "y"));
  EXPECT_THAT(settings.stop_tokens, ElementsAre(8, 9));
  EXPECT_TRUE(settings.shows_stop);
  EXPECT_TRUE(settings.ignores_end);
  EXPECT_FALSE(settings.skips_special_tokens);
  EXPECT_EQ(settings.priority, -3);
  EXPECT_EQ(settings.cache_salt, "s");
  EXPECT_EQ(settings.prompt_logprobs, 2);
}

TEST_F(RequestFieldsTest, NullsAreAsIfTheyWereNotThere) {
  Json nulls = Json::object();
  for (const char* name : {"temperature", "top_p",      "top_k",          "min_p",           "n",
                           "max_tokens",  "stop",       "stop_token_ids", "logprobs",        "logit_bias",
                           "seed",        "stream",     "stream_options", "response_format", "echo",
                           "suffix",      "best_of",    "priority",       "cache_salt",      "user",
                           "guided_json", "min_tokens", "ignore_eos",     "prompt_logprobs"}) {
    nulls[name] = nullptr;
  }
  const AnswerSettings settings = read(nulls);
  EXPECT_EQ(settings.new_tokens_max, 16);
  EXPECT_THAT(settings.stops, IsEmpty());
  const ChatRequest chat = read_chat({{"tools", nullptr},
                                      {"tool_choice", nullptr},
                                      {"logprobs", nullptr},
                                      {"top_logprobs", nullptr},
                                      {"chat_template_kwargs", nullptr},
                                      {"reasoning_effort", nullptr},
                                      {"max_completion_tokens", nullptr},
                                      {"parallel_tool_calls", nullptr},
                                      {"chat_template", nullptr}});
  EXPECT_EQ(chat.tool_use, ToolUse::kAll);
  EXPECT_FALSE(chat.settings.new_tokens_max);
}

TEST_F(RequestFieldsTest, NumbersStayInTheirRanges) {
  struct Range {
    const char* field;
    double min, max;
  };
  for (const Range& range : {Range{"temperature", 0, 2}, Range{"top_p", 0, 1}, Range{"min_p", 0, 1},
                             Range{"presence_penalty", -2, 2}, Range{"frequency_penalty", -2, 2},
                             Range{"repetition_penalty", 0.01, 2}, Range{"n", 1, 8}, Range{"logprobs", 0, 20},
                             Range{"prompt_logprobs", 0, 20}}) {
    EXPECT_EQ(refusal_of({{range.field, range.min}}), "");
    EXPECT_EQ(refusal_of({{range.field, range.max}}), "");
    for (const double value : {range.min - 1, range.max + 1, 1e300, -1e300}) {
      EXPECT_THAT(refusal_of({{range.field, value}}), StartsWith(range.field + std::string(": expected ")));
    }
    for (const Json& value : {Json("1"), Json(true), Json::array(), Json::object()}) {
      EXPECT_THAT(refusal_of({{range.field, value}}), StartsWith(range.field + std::string(": expected ")));
    }
  }
  for (const char* field : {"max_tokens", "min_tokens"}) {
    EXPECT_THAT(refusal_of({{field, -1}}), StartsWith(field));
    EXPECT_THAT(refusal_of({{field, 1.5}}), StartsWith(field));
    EXPECT_THAT(refusal_of({{field, 1ULL << 63}}), StartsWith(field));
  }
  EXPECT_EQ(refusal_of({{"max_tokens", 16.0}}), "");
  EXPECT_THAT(refusal_of({{"top_k", -2}}), StartsWith("top_k"));
}

TEST_F(RequestFieldsTest, SeedsHave64Bits) {
  EXPECT_EQ(read({{"seed", 18446744073709551615ULL}}).sampling.seed, 18446744073709551615ULL);
  EXPECT_EQ(read({{"seed", -1}}).sampling.seed, 18446744073709551615ULL);
  EXPECT_THAT(refusal_of({{"seed", 0.5}}), StartsWith("seed"));
}

TEST_F(RequestFieldsTest, StopsStayInTheirLimits) {
  EXPECT_THAT(read({{"stop", "x"}}).stops, ElementsAre("x"));
  EXPECT_EQ(refusal_of({{"stop", Json(std::vector<std::string>(16, std::string(256, 'x')))}}), "");
  EXPECT_THAT(refusal_of({{"stop", Json(std::vector<std::string>(17, "x"))}}), StartsWith("stop: 17"));
  EXPECT_THAT(refusal_of({{"stop", std::string(257, 'x')}}), StartsWith("stop: "));
  EXPECT_THAT(refusal_of({{"stop", ""}}), StartsWith("stop: "));
  EXPECT_THAT(refusal_of({{"stop", {"x", 7}}}), StartsWith("stop[1]: "));
  EXPECT_THAT(refusal_of({{"stop_token_ids", {1, 1 << 30}}}), StartsWith("stop_token_ids[1]: "));
}

TEST_F(RequestFieldsTest, BiasesStayInTheirLimits) {
  for (const Json& bias : {Json{{"x", 1}}, Json{{"-1", 1}}, Json{{"99999999", 1}}, Json{{"5", 101}},
                           Json{{"5", "x"}}, Json{{"5", 1}, {"05", 1}}, Json{{"5 ", 1}}, Json::array()}) {
    EXPECT_THAT(refusal_of({{"logit_bias", bias}}), StartsWith("logit_bias")) << bias;
  }
  Json many = Json::object();
  for (int i = 0; i < 1'024; ++i) many[std::to_string(i)] = 1;
  EXPECT_EQ(refusal_of({{"logit_bias", many}}), "");
  many["1024"] = 1;
  EXPECT_THAT(refusal_of({{"logit_bias", many}}), StartsWith("logit_bias: 1025"));
}

TEST_F(RequestFieldsTest, FieldsThatContradictEachOther) {
  EXPECT_THAT(refusal_of({{"min_tokens", 5}, {"max_tokens", 4}}), StartsWith("min_tokens"));
  EXPECT_THAT(refusal_of({{"min_tokens", 17}}), StartsWith("min_tokens"));
  EXPECT_THAT(refusal_of({{"stream_options", {{"include_usage", true}}}}), StartsWith("stream_options"));
  EXPECT_THAT(refusal_of({{"stream", true}, {"prompt_logprobs", 1}}), StartsWith("prompt_logprobs"));
  EXPECT_THAT(refusal_of({{"stream", true}, {"stream_options", {{"include_usage", 1}}}}),
              StartsWith("stream_options.include_usage: expected true or false"));
  EXPECT_THAT(chat_refusal_of({{"top_logprobs", 1}}), StartsWith("top_logprobs"));
  EXPECT_THAT(chat_refusal_of({{"logprobs", 1}}), StartsWith("logprobs: expected true or false"));
}

TEST_F(RequestFieldsTest, SaysWhatIsNotSupported) {
  const auto refused = ErrorCode::kUnsupported;
  EXPECT_THAT(refusal_of({{"guided_json", Json::object()}}, refused), StartsWith("guided_json"));
  EXPECT_THAT(refusal_of({{"allowed_token_ids", Json::object()}}, refused), StartsWith("allowed_token_ids"));
  EXPECT_THAT(refusal_of({{"suffix", "x"}}, refused), StartsWith("suffix"));
  EXPECT_EQ(refusal_of({{"suffix", ""}}), "");
  EXPECT_THAT(refusal_of({{"best_of", 2}}, refused), StartsWith("best_of"));
  EXPECT_EQ(refusal_of({{"best_of", 1}}), "");
  EXPECT_THAT(chat_refusal_of({{"chat_template", "{{ x }}"}}, refused), StartsWith("chat_template"));
  EXPECT_THAT(chat_refusal_of({{"continue_final_message", true}}, refused),
              StartsWith("continue_final_message"));
}

TEST_F(RequestFieldsTest, ChatsHaveNamesOfTheirOwn) {
  EXPECT_EQ(read_chat({{"max_tokens", 5}, {"max_completion_tokens", 7}}).settings.new_tokens_max, 7);
  EXPECT_EQ(read_chat({{"max_tokens", 5}}).settings.new_tokens_max, 5);
  EXPECT_EQ(read_chat({{"logprobs", true}}).settings.sampling.top_logprobs, 0);
  EXPECT_EQ(read_chat({{"logprobs", true}, {"top_logprobs", 5}}).settings.sampling.top_logprobs, 5);
  EXPECT_EQ(read_chat({{"parallel_tool_calls", false}}).tool_use, ToolUse::kOne);
  EXPECT_THAT(chat_refusal_of({{"reasoning_effort", "enormous"}}), StartsWith("reasoning_effort"));
  EXPECT_THAT(chat_refusal_of({{"chat_template_kwargs", {{"enable_thinking", 1}}}}),
              StartsWith("chat_template_kwargs.enable_thinking"));
}

TEST_F(RequestFieldsTest, ConstraintsSayWhereAnswersEnd) {
  const Json format = {{"structured_outputs", {{"regex", "a"}}}};
  EXPECT_EQ(read(format).format->field, "structured_outputs.regex");
  EXPECT_EQ(read_chat(format).settings.format->field, "structured_outputs.regex");
  EXPECT_FALSE(read(Json::object()).format);
  Json more = format;
  more["min_tokens"] = 1;
  EXPECT_THAT(refusal_of(more),
              AllOf(StartsWith("min_tokens: cannot"), HasSubstr("structured_outputs.regex")));
  EXPECT_THAT(chat_refusal_of(more), StartsWith("min_tokens: cannot"));
  more = format;
  more["ignore_eos"] = true;
  EXPECT_THAT(refusal_of(more), StartsWith("ignore_eos: cannot"));
  more["ignore_eos"] = false;
  more["min_tokens"] = 0;
  EXPECT_EQ(refusal_of(more), "");
}

TEST_F(RequestFieldsTest, ToolChoiceSaysWhatIsCalled) {
  const auto read_choice = [&](Json choice, Json more = Json::object()) {
    more["tools"] = {{{"type", "function"}, {"function", {{"name", "f"}}}},
                     {{"type", "function"}, {"function", {{"name", "g"}}}}};
    more["tool_choice"] = std::move(choice);
    return more;
  };
  ChatRequest request = read_chat(read_choice("auto"));
  EXPECT_FALSE(request.forces_call);
  EXPECT_EQ(request.conversation.tools.size(), 2U);
  request = read_chat(read_choice("none"));
  EXPECT_EQ(request.tool_use, ToolUse::kNone);
  EXPECT_THAT(request.conversation.tools, IsEmpty());
  request = read_chat(read_choice("required"));
  EXPECT_TRUE(request.forces_call);
  EXPECT_EQ(request.only_tool, "");
  EXPECT_EQ(request.tool_use, ToolUse::kAll);
  EXPECT_EQ(read_chat(read_choice("required", {{"parallel_tool_calls", false}})).tool_use, ToolUse::kOne);
  const Json named = {{"type", "function"}, {"function", {{"name", "g"}}}};
  request = read_chat(read_choice(named));
  EXPECT_TRUE(request.forces_call);
  EXPECT_EQ(request.only_tool, "g");
  EXPECT_EQ(request.tool_use, ToolUse::kOne);
  EXPECT_EQ(request.conversation.tools.size(), 2U);  // the model knows of all
}

TEST_F(RequestFieldsTest, ToolChoiceMustMakeSense) {
  const auto refusal = [&](Json choice, Json more = Json::object()) {
    more["tools"] = {{{"type", "function"}, {"function", {{"name", "f"}}}}};
    more["tool_choice"] = std::move(choice);
    return chat_refusal_of(more);
  };
  EXPECT_THAT(refusal("maybe"), AllOf(StartsWith("tool_choice: expected"), HasSubstr("maybe")));
  EXPECT_THAT(refusal(7), StartsWith("tool_choice: expected"));
  EXPECT_THAT(refusal(Json::object()), StartsWith("tool_choice.type: "));
  EXPECT_THAT(refusal({{"type", "allowed_tools"}}),
              AllOf(StartsWith("tool_choice.type: "), HasSubstr("allowed_tools")));
  EXPECT_THAT(refusal({{"type", "function"}}), StartsWith("tool_choice.function: is missing"));
  EXPECT_THAT(refusal({{"type", "function"}, {"function", {{"name", nullptr}}}}),
              StartsWith("tool_choice.function.name: is missing"));
  EXPECT_THAT(refusal({{"type", "function"}, {"function", {{"name", "h"}}}}),
              AllOf(StartsWith("tool_choice.function.name: "), HasSubstr("'h'")));
  EXPECT_THAT(chat_refusal_of({{"tool_choice", "required"}}), StartsWith("tool_choice: "));
  EXPECT_EQ(chat_refusal_of({{"tool_choice", "auto"}}), "");
  EXPECT_THAT(refusal("required", {{"min_tokens", 1}}), StartsWith("min_tokens: cannot"));
  EXPECT_EQ(refusal("auto", {{"min_tokens", 1}}), "");
  EXPECT_THAT(refusal("required", {{"response_format", {{"type", "json_object"}}}}),
              AllOf(StartsWith("tool_choice: "), HasSubstr("response_format")));
  EXPECT_EQ(refusal("auto", {{"response_format", {{"type", "json_object"}}}}), "");
}

TEST_F(RequestFieldsTest, PartsOfTextAreOneMessage) {
  const ChatRequest request =
      read_chat({{"messages",
                  {{{"role", "developer"}, {"content", {{{"type", "text"}, {"text", "a"}}}}},
                   {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "b"}}}}}}}});
  EXPECT_EQ(request.conversation.messages.size(), 2U);
}

TEST_F(RequestFieldsTest, AnObjectHasAThousandFieldsAtMost) {
  Json body = {{"prompt", "a"}};
  for (int i = 0; i < 999; ++i) body["x" + std::to_string(i)] = i;
  EXPECT_NO_THROW(JsonFields{body});
  body["one"] = 1;
  EXPECT_THROW(JsonFields{body}, Error);
}

}  // namespace
}  // namespace beryl::server
