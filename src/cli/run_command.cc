#include "cli/run_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <istream>
#include <iterator>
#include <ostream>

#include "base/error.h"
#include "cli/answer_printer.h"
#include "cli/chat_loop.h"
#include "cli/constraint_options.h"
#include "cli/interrupt.h"
#include "cli/line_editor.h"
#include "cli/raw_command.h"

namespace beryl::cli {
namespace {

int exit_code(engine::FinishReason reason) {
  return reason == engine::FinishReason::kCancelled ? kExitInterrupted : 0;
}

std::string_view finish_name(const engine::ChatAnswer& answer) {
  if (answer.output.finish_reason == text::FinishReason::kToolCalls) return "tool_calls";
  return engine::finish_reason_name(answer.finish_reason);
}

nlohmann::ordered_json to_json(const engine::ChatAnswer& answer, uint64_t seed) {
  nlohmann::ordered_json message = {{"role", "assistant"}, {"content", answer.output.content}};
  if (!answer.output.reasoning.empty()) message["reasoning"] = answer.output.reasoning;
  for (const text::ParsedToolCall& call : answer.output.tool_calls) {
    message["tool_calls"].push_back({{"id", fmt::format("call_{}", call.index)},
                                     {"type", "function"},
                                     {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  }
  const engine::SampleResult& run = answer.generation;
  return {{"message", std::move(message)},
          {"finish_reason", finish_name(answer)},
          {"seed", seed},
          {"usage", usage_json(run)},
          {"timings", timings_json(run)}};
}

int answer_once(ChatSession& session, const RunOptions& options, const std::string& prompt,
                std::ostream& out) {
  AnswerPrinter printer(out, find_answer_style());
  const engine::ChatAnswer answer = session.ask(prompt, [&](const text::OutputDelta& delta) {
    if (!options.json) printer.show(delta);
  });
  if (options.json) {
    out << to_json(answer, session.last_seed()).dump(2) << '\n';
  } else {
    printer.finish();
  }
  if (session.has_constraint() && answer.finish_reason == engine::FinishReason::kLength) warn_cut_answer();
  if (options.chat.model.verbose) fmt::print(stderr, "{}\n", describe_answer(answer));
  return exit_code(answer.finish_reason);
}

}  // namespace

void add_run_options(CLI::App& command, RunOptions& options) {
  add_chat_options(command, options.chat);
  CLI::Option* prompt =
      command.add_option("PROMPT", options.prompt, "What to ask; without it, what is piped in, or a chat");
  command
      .add_option("--raw", options.raw,
                  "Continue this text as it stands: no chat template, special tokens "
                  "recognised, greedy unless --temperature is given")
      ->excludes(prompt, command.get_option("--think"), command.get_option("--tools"),
                 command.get_option("--chat-template"));
  command.add_flag("--json", options.json, "Print one JSON object in place of streaming text");
}

int run_run(const RunOptions& options, std::istream& in, std::ostream& out) {
  if (options.raw) {
    return exit_code(run_raw({.chat = options.chat, .text = *options.raw, .json = options.json}, out));
  }
  std::optional<std::string> prompt = options.prompt;
  const bool is_piped = ::isatty(STDIN_FILENO) != 1;
  if (!prompt && is_piped) {
    prompt.emplace(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    if (prompt->empty()) {
      throw Error(ErrorCode::kInvalidInput, "there is no prompt: the standard input is empty",
                  "give the prompt as an argument, pipe it in, or run beryl on a terminal to chat");
    }
  }
  if (!prompt && options.json) {
    throw CLI::ValidationError("--json", "needs a prompt, since a chat has no JSON form");
  }
  ChatSession session(options.chat);
  if (prompt) return answer_once(session, options, *prompt, out);
  LineEditor editor("beryl");
  out << "Chat with " << options.chat.model.model << ". /help lists the commands.\n";
  ChatLoop loop(session, out, find_answer_style(), [&](const std::string& text) {
    out.flush();
    std::optional<std::string> line = editor.read(text);
    if (line && !line->empty()) editor.remember(*line);
    return line;
  });
  return loop.run();
}

}  // namespace beryl::cli
