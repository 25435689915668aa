// Answers conversations: chat template, tokenizer, generation and output parser as one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/generation_config.h"
#include "engine/engine.h"
#include "engine/generation.h"
#include "text/chat_template.h"
#include "text/conversation.h"
#include "text/grammar/compiled_grammar.h"
#include "text/output_parser.h"
#include "text/tokenizer.h"

namespace beryl::engine {

// How the model's authors want answers sampled; the seed is left at 0.
SamplingParams default_sampling(const checkpoint::GenerationConfig& config);

struct ChatRequest {
  text::Conversation conversation;
  text::ChatOptions template_options;
  SamplingParams sampling;
  int64_t new_tokens_max = 0;
  std::vector<std::string> stops;       // texts that end the answer and are not part of it
  std::function<bool()> should_cancel;  // as GenerationOptions
  // What the answer must follow once it has thought; null: anything goes.
  std::shared_ptr<text::grammar::CompiledGrammar> grammar = nullptr;
  // What tool calls must follow behind the token that opens the first; null: anything goes. Not beside
  // `grammar`.
  std::shared_ptr<text::grammar::CompiledGrammar> call_grammar = nullptr;
};

struct ChatAnswer {
  text::ParsedOutput output;
  // Of the generation; output.finish_reason tells tool calls from other stops, too.
  FinishReason finish_reason = FinishReason::kStop;
  SampleResult generation;
};

// What a conversation's prompt shares with the one before is not computed again, as far as the engine's
// prefix cache remembers it. Borrows everything; any thread.
class ChatModel {
 public:
  ChatModel(Engine& engine, const text::Tokenizer& tokenizer, const text::ChatTemplate& chat_template,
            std::vector<int32_t> end_tokens);

  // Passes each piece of the answer on as soon as it is certain. Errors: as ChatTemplate::render(),
  // generate() and StopMatcher.
  ChatAnswer answer(const ChatRequest& request,
                    const std::function<void(const text::OutputDelta&)>& on_delta);

 private:
  Engine& engine_;
  const text::Tokenizer& tokenizer_;
  const text::ChatTemplate& template_;
  std::vector<int32_t> end_tokens_;
};

}  // namespace beryl::engine
