#include "cli/answer_printer.h"

#include <unistd.h>

#include <cstdlib>
#include <ostream>
#include <string>
#include <string_view>

namespace beryl::cli {
namespace {

constexpr std::string_view kDim = "\033[2m";
constexpr std::string_view kReset = "\033[0m";

}  // namespace

AnswerStyle find_answer_style() {
  if (::isatty(STDOUT_FILENO) != 1) return AnswerStyle::kPlain;
  const char* no_colour = std::getenv("NO_COLOR");
  return no_colour != nullptr && *no_colour != '\0' ? AnswerStyle::kReasoned : AnswerStyle::kColoured;
}

void AnswerPrinter::show(const text::OutputDelta& delta) {
  using Kind = text::OutputDelta::Kind;
  switch (delta.kind) {
    case Kind::kReasoning:
      if (style_ == AnswerStyle::kPlain) return;
      enter(Section::kReasoning);
      write(delta.text);
      break;
    case Kind::kContent:
      enter(Section::kContent);
      write(delta.text);
      break;
    case Kind::kCallBegin:
      enter(Section::kNone);
      enter(Section::kCall);
      write("tool call: " + delta.text + " ");
      break;
    case Kind::kCallArguments:
      write(delta.text);
      break;
    case Kind::kCallEnd:
    case Kind::kCallBroken:
      enter(Section::kNone);
      break;
    case Kind::kSyntax:
      break;
  }
  out_.flush();
}

void AnswerPrinter::finish() {
  enter(Section::kNone);
  out_.flush();
}

void AnswerPrinter::show_note(std::string_view text) {
  const bool is_coloured = style_ == AnswerStyle::kColoured;
  out_ << (is_coloured ? kDim : "") << text << (is_coloured ? kReset : "") << '\n';
}

void AnswerPrinter::enter(Section section) {
  if (section == section_) return;
  if (section_ == Section::kReasoning) {
    if (style_ == AnswerStyle::kColoured) out_ << kReset;
    if (is_line_open_) write("\n");
    if (style_ == AnswerStyle::kReasoned) write("(end of thoughts)\n");
  } else if (is_line_open_) {
    write("\n");
  }
  section_ = section;
  if (section == Section::kReasoning) {
    if (style_ == AnswerStyle::kColoured) out_ << kDim;
    if (style_ == AnswerStyle::kReasoned) write("(thoughts)\n");
  }
}

void AnswerPrinter::write(std::string_view text) {
  if (text.empty()) return;
  out_ << text;
  is_line_open_ = text.back() != '\n';
}

}  // namespace beryl::cli
