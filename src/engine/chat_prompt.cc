#include "engine/chat_prompt.h"

#include <algorithm>

#include "base/error.h"

namespace beryl::engine {
namespace {

std::vector<int32_t> encode(const text::Tokenizer& tokenizer, const text::RenderedPrompt& rendered) {
  return tokenizer.encode_marked(rendered.text, rendered.template_spans);
}

}  // namespace

ChatPrompt make_chat_prompt(const text::Tokenizer& tokenizer, const text::ChatTemplate& chat_template,
                            const text::Conversation& conversation, const text::ChatOptions& options) {
  const text::ChatPrompt prompt = chat_template.render(conversation, options);
  return {encode(tokenizer, prompt.rendered),
          prompt.opens_reasoning ? text::OutputStart::kReasoning : text::OutputStart::kContent};
}

std::optional<int64_t> find_next_turn(const std::vector<int32_t>& prompt, const text::Tokenizer& tokenizer,
                                      const text::ChatTemplate& chat_template,
                                      const text::Conversation& conversation,
                                      const text::ChatOptions& options) {
  text::Conversation next = conversation;
  next.messages.push_back({.role = text::Role::kAssistant, .content = "x"});
  next.messages.push_back({.role = text::Role::kUser, .content = "x"});
  try {
    const std::vector<int32_t> tokens = encode(tokenizer, chat_template.render(next, options).rendered);
    const int64_t length = std::ranges::mismatch(prompt, tokens).in1 - prompt.begin();
    return length > 0 ? std::optional(length) : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace beryl::engine
