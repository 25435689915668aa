// Shows an answer while it is generated.
#pragma once

#include <iosfwd>
#include <string_view>

#include "text/output_parser.h"

namespace beryl::cli {

enum class AnswerStyle : uint8_t {
  kPlain,     // content and tool calls: for pipes
  kReasoned,  // reasoning too, set apart by lines: for terminals without colours
  kColoured,  // reasoning too, dimmed: for terminals
};

// The style for standard output: by whether it is a terminal, and NO_COLOR.
AnswerStyle find_answer_style();

class AnswerPrinter {
 public:
  AnswerPrinter(std::ostream& out, AnswerStyle style) : out_(out), style_(style) {}

  void show(const text::OutputDelta& delta);
  // Ends the line if it is open.
  void finish();
  // A line about the answer, dimmed where there are colours.
  void show_note(std::string_view text);

 private:
  enum class Section : uint8_t { kNone, kReasoning, kContent, kCall };

  void enter(Section section);
  void write(std::string_view text);

  std::ostream& out_;
  AnswerStyle style_;
  Section section_ = Section::kNone;
  bool is_line_open_ = false;
};

}  // namespace beryl::cli
