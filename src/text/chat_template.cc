#include "text/chat_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/quote.h"

namespace beryl::text {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kTurnOpen = "<|turn>";
constexpr std::string_view kTurnClose = "<turn|>\n";
constexpr std::string_view kModelTurn = "<|turn>model\n";
constexpr std::string_view kOpenThought = "<|channel>thought\n";

constexpr std::string_view kOwnNames[] = {"messages",        "tools",     "add_generation_prompt",
                                          "enable_thinking", "bos_token", "eos_token",
                                          "pad_token",       "unk_token", "preserve_thinking"};

// Byte offset of the last place where the template itself wrote `marker`.
std::optional<size_t> find_last(const RenderedPrompt& prompt, std::string_view marker) {
  for (size_t i = prompt.template_spans.size(); i > 0; --i) {
    const Span& span = prompt.template_spans[i - 1];
    const size_t found =
        std::string_view(prompt.text).substr(span.begin, span.end - span.begin).rfind(marker);
    if (found != std::string_view::npos) return span.begin + found;
  }
  return std::nullopt;
}

bool ends_with(const RenderedPrompt& prompt, std::string_view marker) {
  const auto last = find_last(prompt, marker);
  return last && *last + marker.size() == prompt.text.size();
}

// Puts text of the template in at `position`, which is the end of such text.
void insert_template_text(RenderedPrompt& prompt, size_t position, std::string_view text) {
  prompt.text.insert(position, text);
  for (Span& span : prompt.template_spans) {
    if (span.begin >= position) span.begin += text.size();
    if (span.end >= position) span.end += text.size();
  }
}

// Templates that know tool results only as part of the assistant's message never ask for an id.
ToolResults tool_results_of(std::string_view source) {
  const bool reads_messages = source.find("tool_call_id") != std::string_view::npos;
  const bool reads_responses = source.find("tool_responses") != std::string_view::npos;
  return reads_responses && !reads_messages ? ToolResults::kWithinAssistant : ToolResults::kMessages;
}

}  // namespace

void read_template_variables(const Json& json, ChatOptions& options) {
  if (json.is_null()) return;
  if (!json.is_object()) throw Error(ErrorCode::kInvalidInput, "chat_template_kwargs: expected an object");
  for (const auto& [key, value] : json.items()) {
    const bool is_thinking = key == "enable_thinking";
    if (!is_thinking && key != "preserve_thinking") {
      options.variables[key] = value;
      continue;
    }
    if (!value.is_boolean()) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("chat_template_kwargs.{}: expected true or false", key));
    }
    (is_thinking ? options.enables_thinking : options.preserves_thinking) = value.get<bool>();
  }
}

ChatTemplate::ChatTemplate(std::string_view source, std::string name, TemplateTokens tokens)
    : template_(source, std::move(name)), tokens_(std::move(tokens)), tool_results_(tool_results_of(source)) {
  generation_prompts_ = {find_generation_prompt(false), find_generation_prompt(true)};
}

ChatPrompt ChatTemplate::render(const Conversation& conversation, const ChatOptions& options) const {
  const bool has_open_calls =
      !conversation.messages.empty() && !conversation.messages.back().tool_calls.empty();
  if (has_open_calls && options.adds_generation_prompt) {
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("messages[{}]: calls tools, but no results follow that the model could go on with",
                    conversation.messages.size() - 1),
        "add a message of role tool for each call");
  }
  ChatPrompt prompt{render_as_written(conversation, options), false};
  if (options.adds_generation_prompt) {
    open_model_turn(prompt.rendered, options.enables_thinking);
    prompt.opens_reasoning = ends_with(prompt.rendered, kOpenThought);
  }
  return prompt;
}

RenderedPrompt ChatTemplate::render_as_written(const Conversation& conversation,
                                               const ChatOptions& options) const {
  const Json messages = template_messages(conversation, tool_results_);
  const Json tools = template_tools(conversation);
  const Json adds_generation_prompt = options.adds_generation_prompt;
  const Json enables_thinking = options.enables_thinking;
  const Json preserves_thinking = options.preserves_thinking;
  const Json bos = tokens_.bos;
  const Json eos = tokens_.eos;
  const Json pad = tokens_.pad;
  const Json unk = tokens_.unk;
  std::vector<TemplateVariable> variables = {
      {"messages", &messages, Origin::kCaller},
      {"tools", &tools, Origin::kCaller},
      {"add_generation_prompt", &adds_generation_prompt, Origin::kCaller},
      {"enable_thinking", &enables_thinking, Origin::kCaller},
      {"preserve_thinking", &preserves_thinking, Origin::kCaller},
      {"bos_token", &bos, Origin::kTemplate},
      {"eos_token", &eos, Origin::kTemplate},
      {"pad_token", &pad, Origin::kTemplate},
      {"unk_token", &unk, Origin::kTemplate},
  };
  for (const auto& [name, value] : options.variables.items()) {
    if (std::find(std::begin(kOwnNames), std::end(kOwnNames), name) != std::end(kOwnNames)) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("chat_template_kwargs: {} cannot be set by a request", quote(name)));
    }
    variables.push_back({name, &value, Origin::kCaller});
  }
  return template_.render(variables, {options.limits, options.now});
}

std::string ChatTemplate::find_generation_prompt(bool enables_thinking) const {
  Conversation question;
  question.messages.push_back({Role::kUser, "x", {}, {}, {}, {}});
  ChatOptions options;
  options.enables_thinking = enables_thinking;
  try {
    const std::string with = render_as_written(question, options).text;
    options.adds_generation_prompt = false;
    const std::string without = render_as_written(question, options).text;
    return with.starts_with(without) ? with.substr(without.size()) : "";
  } catch (const Error&) {
    return "";  // whatever this template wants, its users will hear of it when they render
  }
}

void ChatTemplate::open_model_turn(RenderedPrompt& prompt, bool enables_thinking) const {
  const std::string& generation_prompt = generation_prompts_[enables_thinking ? 1 : 0];
  if (!generation_prompt.starts_with(kModelTurn)) return;
  const auto close = find_last(prompt, kTurnClose);
  const auto open = find_last(prompt, kTurnOpen);
  if (!close || (open && *open > *close)) return;
  const size_t behind = *close + kTurnClose.size();
  const bool is_at_end = behind == prompt.text.size();
  insert_template_text(prompt, behind, is_at_end ? std::string_view(generation_prompt) : kModelTurn);
}

}  // namespace beryl::text
