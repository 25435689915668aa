// The chat: reads lines, runs commands, shows answers.
#pragma once

#include <functional>
#include <iosfwd>
#include <optional>
#include <string>

#include "cli/answer_printer.h"
#include "cli/chat_session.h"

namespace beryl::cli {

// One line about an answer: tokens, speed, what came from the cache.
std::string describe_answer(const engine::ChatAnswer& answer);

class ChatLoop {
 public:
  // Asks for a line with the given prompt; nothing at the end of input.
  using ReadLine = std::function<std::optional<std::string>(const std::string& prompt)>;

  ChatLoop(ChatSession& session, std::ostream& out, AnswerStyle style, ReadLine read_line);

  // Until /exit, the end of input, or Ctrl-C twice in a row at the prompt. Returns the exit code.
  int run();

 private:
  // Runs "/name rest". Returns false to leave the chat.
  bool run_command(const std::string& line);
  void set_parameter(const std::string& assignment);
  void save(const std::string& path) const;
  void ask(const std::string& text);
  // The whole text that `first_line` begins: where that begins with """, up to a line that ends with """.
  // Nothing when Ctrl-C or the end of input comes first.
  std::optional<std::string> read_rest(const std::string& first_line);
  void show_answer(const std::function<engine::ChatAnswer(const ChatSession::OnDelta&)>& generate);

  ChatSession& session_;
  std::ostream& out_;
  AnswerStyle style_;
  ReadLine read_line_;
  bool shows_statistics_;
};

}  // namespace beryl::cli
