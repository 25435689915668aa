#include "cli/line_editor.h"

#include <histedit.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <iostream>

#include "cli/interrupt.h"

namespace beryl::cli {
namespace {

constexpr int kHistoryLines = 1000;
constexpr int kMillisecondsBetweenLooks = 100;

// False when Ctrl-C came first. A signal that comes just before poll(), or to another thread, does not end
// it; hence the looks in between.
bool wait_for_input() {
  pollfd input = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  while (!is_interrupted()) {
    if (::poll(&input, 1, kMillisecondsBetweenLooks) > 0) return true;
  }
  return false;
}

// What libedit reads with: 1 for a character, 0 at the end of input, -1 for an error.
int read_character(EditLine*, wchar_t* character) {
  constexpr auto kInvalid = static_cast<size_t>(-1);
  constexpr auto kIncomplete = static_cast<size_t>(-2);
  std::mbstate_t state{};
  while (wait_for_input()) {
    char byte = 0;
    const ssize_t count = ::read(STDIN_FILENO, &byte, 1);
    if (count <= 0) return static_cast<int>(count);
    const size_t length = std::mbrtowc(character, &byte, 1, &state);
    if (length != kInvalid && length != kIncomplete) return 1;
    if (length == kInvalid) state = {};  // as libedit does it: what is no character is dropped
  }
  errno = EINTR;
  return -1;
}

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
    ::el_set(editor, EL_GETCFN, read_character);
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
  // libedit reads characters and counts columns by it. Where none is set, only ASCII could be typed.
  std::setlocale(LC_CTYPE, "");
  if (MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
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
