// Lines from the user: with editing and history on a terminal, plainly from a pipe.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace beryl::cli {

class LineEditor {
 public:
  // `program` names the user's key bindings in ~/.editrc.
  explicit LineEditor(const char* program);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  // The next line without its newline; nothing at the end of input. Ctrl-C gives an empty line and leaves
  // is_interrupted() set.
  std::optional<std::string> read(const std::string& prompt);
  // Makes `line` reachable with the arrow keys.
  void remember(const std::string& line);

 private:
  struct Terminal;
  std::unique_ptr<Terminal> terminal_;  // null when standard input is no terminal
};

}  // namespace beryl::cli
