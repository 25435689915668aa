#include "cli/chat_session.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/interrupt.h"
#include "engine/model_text.h"

namespace beryl::cli {
namespace {

constexpr uint64_t kToolsBytesMax = uint64_t{8} << 20;

text::ChatTemplate load_template(const ChatSessionOptions& options,
                                 const checkpoint::Checkpoint& checkpoint) {
  const text::TemplateSource source = engine::load_model_template(checkpoint, options.template_file);
  if (const auto warning = text::revision_warning(source.text)) fmt::print(stderr, "warning: {}\n", *warning);
  return text::ChatTemplate(source.text, source.name);
}

text::Conversation start_conversation(const ChatSessionOptions& options) {
  text::Conversation conversation;
  if (!options.tools_file.empty()) {
    const std::string source = options.tools_file.string();
    conversation.tools =
        text::parse_tools(parse_ordered_json(read_text_file(options.tools_file, kToolsBytesMax), source));
  }
  if (!options.system.empty()) {
    conversation.messages.push_back({.role = text::Role::kSystem, .content = options.system});
  }
  return conversation;
}

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  return local;
}

// The answer as the next prompt's history.
text::Message to_message(const text::ParsedOutput& output) {
  text::Message message = {
      .role = text::Role::kAssistant, .content = output.content, .reasoning = output.reasoning};
  for (const text::ParsedToolCall& call : output.tool_calls) {
    message.tool_calls.push_back({.id = fmt::format("call_{}", call.index),
                                  .name = call.name,
                                  .arguments = nlohmann::ordered_json::parse(call.arguments)});
  }
  return message;
}

}  // namespace

void add_chat_options(CLI::App& command, ChatSessionOptions& options) {
  add_model_options(command, options.model);
  command.add_option("--system", options.system, "System message")->envname("BERYL_SYSTEM");
  command.add_flag("--think", options.thinks, "Let the model think before it answers");
  command.add_option("--tools", options.tools_file, "JSON file with a list of tool declarations");
  command.add_option("--chat-template", options.template_file,
                     "Use this Jinja file in place of the model's template");
  command
      .add_option(
          "--ctx", options.context,
          fmt::format("Room for the conversation, in tokens (default: {}, or less where memory is short)",
                      engine::MemoryWishes().context_default))
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->envname("BERYL_CTX");
  add_sampling_options(command, options.sampling);
  add_constraint_options(command, options.constraint);
  // An answer that is bound to a constraint calls no tools.
  for (const std::string& flag : constraint_flags()) {
    command.get_option(flag)->excludes(command.get_option("--tools"));
  }
}

ChatSession::ChatSession(const ChatSessionOptions& options, checkpoint::Checkpoint checkpoint)
    : options_(options),
      tokenizer_(engine::load_model_tokenizer(checkpoint)),
      template_(load_template(options, checkpoint)),
      grammar_(compile_constraint(options.constraint, tokenizer_, checkpoint.generation().eos_token_ids)),
      running_(load_model(options.model, std::move(checkpoint), {.context = options.context})),
      chat_(running_.engine, tokenizer_, template_, running_.model.checkpoint.generation().eos_token_ids),
      conversation_(start_conversation(options)) {
  call_grammar_ = compile_tool_calls(conversation_.tools, tokenizer_,
                                     running_.model.checkpoint.generation().eos_token_ids);
  if (options.model.verbose) fmt::print(stderr, "sampling: {}\n", describe(make_next_sampling()));
}

engine::ChatAnswer ChatSession::ask(const std::string& prompt, const OnDelta& on_delta) {
  return run({{.role = text::Role::kUser, .content = prompt}}, on_delta);
}

std::vector<text::ToolCall> ChatSession::open_tool_calls() const {
  if (conversation_.messages.empty()) return {};
  return conversation_.messages.back().tool_calls;
}

engine::ChatAnswer ChatSession::answer_tools(const std::vector<std::string>& results,
                                             const OnDelta& on_delta) {
  const std::vector<text::ToolCall> calls = open_tool_calls();
  std::vector<text::Message> messages;
  for (size_t i = 0; i < calls.size(); ++i) {
    messages.push_back({.role = text::Role::kTool,
                        .content = results.at(i),
                        .tool_call_id = calls[i].id,
                        .name = calls[i].name});
  }
  return run(std::move(messages), on_delta);
}

engine::ChatAnswer ChatSession::run(std::vector<text::Message> messages, const OnDelta& on_delta) {
  engine::ChatRequest request = {.conversation = conversation_,
                                 .sampling = make_next_sampling(),
                                 .new_tokens_max = options_.sampling.new_tokens_max,
                                 .stops = options_.sampling.stops,
                                 .should_cancel = is_interrupted,
                                 .grammar = grammar_,
                                 .call_grammar = call_grammar_};
  request.template_options.enables_thinking = options_.thinks;
  request.template_options.now = local_time();
  for (text::Message& message : messages) request.conversation.messages.push_back(std::move(message));
  last_seed_ = request.sampling.seed;
  engine::ChatAnswer answer = chat_.answer(request, on_delta);
  const engine::SampleResult& run = answer.generation;
  tokens_used_ = run.cached_tokens + run.prompt_tokens + static_cast<int64_t>(run.tokens.size());
  conversation_ = std::move(request.conversation);
  conversation_.messages.push_back(to_message(answer.output));
  return answer;
}

void ChatSession::drop_last_exchange() {
  std::vector<text::Message>& messages = conversation_.messages;
  while (!messages.empty() && messages.back().role != text::Role::kSystem) {
    const bool was_user = messages.back().role == text::Role::kUser;
    messages.pop_back();
    if (was_user) return;
  }
}

void ChatSession::clear() {
  conversation_ = start_conversation(options_);
  tokens_used_ = 0;
}

void ChatSession::set_system(std::string system) {
  options_.system = std::move(system);
  clear();
}

engine::SamplingParams ChatSession::make_next_sampling() const {
  return make_sampling(options_.sampling, running_.model.checkpoint.generation(),
                       running_.model.checkpoint.config().vocabulary_size);
}

}  // namespace beryl::cli
