// A conversation on the command line: the model, what was said so far, and how the next answer is wanted.
#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/constraint_options.h"
#include "cli/loaded_model.h"
#include "cli/sampling_options.h"
#include "engine/chat_model.h"
#include "text/chat_template.h"
#include "text/conversation.h"
#include "text/tokenizer.h"

namespace beryl::cli {

struct ChatSessionOptions {
  ModelOptions model;
  SamplingOptions sampling;
  ConstraintOptions constraint;         // what every answer must be, once it has thought
  std::optional<int64_t> context;       // room for the whole conversation, in tokens
  std::filesystem::path template_file;  // in place of the checkpoint's template
  std::filesystem::path tools_file;     // JSON list of tool declarations
  std::string system;                   // system message
  bool thinks = false;
};

void add_chat_options(CLI::App& command, ChatSessionOptions& options);

class ChatSession {
 public:
  // Loads everything, the weights last. Warnings and notes go to standard error.
  explicit ChatSession(const ChatSessionOptions& options)
      : ChatSession(options, open_checkpoint(options.model)) {}

  using OnDelta = std::function<void(const text::OutputDelta&)>;

  // Adds the user's text and the model's answer to the conversation; an answer that fails leaves it as it
  // was.
  engine::ChatAnswer ask(const std::string& prompt, const OnDelta& on_delta);

  // The calls of the last answer that have no result yet, oldest first.
  std::vector<text::ToolCall> open_tool_calls() const;
  // Goes on after the results of all open calls, in their order.
  engine::ChatAnswer answer_tools(const std::vector<std::string>& results, const OnDelta& on_delta);

  // Forgets the last user message and all that followed it.
  void drop_last_exchange();
  // Forgets everything but the system message.
  void clear();
  // Replaces the system message; empty for none. The conversation starts anew.
  void set_system(std::string system);
  void set_thinking(bool thinks) { options_.thinks = thinks; }
  bool thinks() const { return options_.thinks; }
  bool has_constraint() const { return grammar_ != nullptr; }
  SamplingOptions& sampling() { return options_.sampling; }
  // What the next answer is sampled with. Errors: as make_sampling().
  engine::SamplingParams make_next_sampling() const;

  const text::Conversation& conversation() const { return conversation_; }
  // Of the last prompt and its answer.
  int64_t tokens_used() const { return tokens_used_; }
  int64_t tokens_max() const { return running_.engine.options().context_max; }
  uint64_t last_seed() const { return last_seed_; }

 private:
  ChatSession(const ChatSessionOptions& options, checkpoint::Checkpoint checkpoint);

  engine::ChatAnswer run(std::vector<text::Message> messages, const OnDelta& on_delta);

  ChatSessionOptions options_;
  text::Tokenizer tokenizer_;
  text::ChatTemplate template_;
  std::shared_ptr<text::grammar::CompiledGrammar> grammar_;       // null: answers are free
  std::shared_ptr<text::grammar::CompiledGrammar> call_grammar_;  // null: so are calls
  RunningModel running_;
  engine::ChatModel chat_;
  text::Conversation conversation_;
  int64_t tokens_used_ = 0;
  uint64_t last_seed_ = 0;
};

}  // namespace beryl::cli
