// beryl run: one answer, a chat, or the plain continuation of a text.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>

#include "cli/chat_session.h"

namespace beryl::cli {

struct RunOptions {
  ChatSessionOptions chat;
  std::optional<std::string> prompt;  // absent: what is piped in, or a chat
  std::optional<std::string> raw;     // continue this text as it stands, without the chat template
  bool json = false;
};

void add_run_options(CLI::App& command, RunOptions& options);

// Returns the exit code: 130 when interrupted. Errors: those of loading and generating; CLI::ParseError when
// a chat was to answer in JSON.
int run_run(const RunOptions& options, std::istream& in, std::ostream& out);

}  // namespace beryl::cli
