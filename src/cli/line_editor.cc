#include "cli/line_editor.h"

#include <histedit.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <iostream>

#include "cli/interrupt.h"

namespace beryl::cli {
namespace {

constexpr int kHistoryLines = 1000;

}  // namespace

struct LineEditor::Terminal {
  explicit Terminal(const char* program)
      : editor(::el_init(program, stdin, stdout, stderr)), past(::history_init()) {
    HistEvent event;
    ::history(past, &event, H_SETSIZE, kHistoryLines);
    ::el_set(editor, EL_CLIENTDATA, this);
    ::el_set(
        editor, EL_PROMPT, +[](EditLine* el) {
          void* self = nullptr;
          ::el_get(el, EL_CLIENTDATA, &self);
          return static_cast<Terminal*>(self)->prompt.data();
        });
    ::el_set(editor, EL_EDITOR, "emacs");
    ::el_set(editor, EL_HIST, ::history, past);
    ::el_source(editor, nullptr);
  }
  ~Terminal() {
    ::history_end(past);
    ::el_end(editor);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  EditLine* editor;
  History* past;
  std::string prompt;
};

LineEditor::LineEditor(const char* program) {
  if (::isatty(STDIN_FILENO) != 1) return;
  std::setlocale(LC_CTYPE, "");  // libedit counts columns by it
  terminal_ = std::make_unique<Terminal>(program);
}

LineEditor::~LineEditor() = default;

std::optional<std::string> LineEditor::read(const std::string& prompt) {
  std::string line;
  if (!terminal_) {
    if (!std::getline(std::cin, line)) return std::nullopt;
    return line;
  }
  terminal_->prompt = prompt;
  int length = 0;
  const char* text = ::el_gets(terminal_->editor, &length);
  if (text == nullptr || length <= 0) {
    if (is_interrupted()) return std::string();
    return std::nullopt;
  }
  line.assign(text, static_cast<size_t>(length));
  if (!line.empty() && line.back() == '\n') line.pop_back();
  return line;
}

void LineEditor::remember(const std::string& line) {
  if (!terminal_) return;
  HistEvent event;
  ::history(terminal_->past, &event, H_ENTER, line.c_str());
}

}  // namespace beryl::cli
