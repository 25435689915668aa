// Any sequence of markers and text, cut in any way: no byte is lost, and the cuts do not matter.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "text/output_parser.h"

namespace {

using beryl::text::OutputDelta;
using beryl::text::OutputEnd;
using beryl::text::OutputMarker;
using beryl::text::OutputParser;
using beryl::text::OutputStart;

// Bytes 0x80 to 0x87 stand for the markers, 0x88 for a cut; the others are text. The first byte chooses start
// and end.
struct Run {
  explicit Run(OutputStart start) : parser(start) {}

  void add(const std::vector<OutputDelta>& deltas) {
    for (const OutputDelta& delta : deltas) {
      raw += delta.raw;
      if (delta.kind == OutputDelta::Kind::kContent) content += delta.text;
      if (delta.kind == OutputDelta::Kind::kReasoning) reasoning += delta.text;
    }
  }
  void push_text(std::string& text) {
    if (!text.empty()) add(parser.push_text(text));
    text.clear();
  }

  OutputParser parser;
  std::string raw;
  std::string content;
  std::string reasoning;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const OutputStart start = (data[0] & 1U) != 0 ? OutputStart::kReasoning : OutputStart::kContent;
  const OutputEnd end = (data[0] & 2U) != 0 ? OutputEnd::kLength : OutputEnd::kStopped;
  Run pieces(start);
  Run bytes(start);
  std::string generated;
  std::string text;
  for (size_t i = 1; i < size; ++i) {
    if (data[i] == 0x88) {
      pieces.push_text(text);
    } else if (data[i] >= 0x80 && data[i] < 0x88) {
      const auto marker = static_cast<OutputMarker>(data[i] - 0x80);
      pieces.push_text(text);
      pieces.add(pieces.parser.push_marker(marker));
      bytes.add(bytes.parser.push_marker(marker));
      generated += marker_text(marker);
    } else {
      text += static_cast<char>(data[i]);
      generated += static_cast<char>(data[i]);
      bytes.add(bytes.parser.push_text(std::string_view(generated).substr(generated.size() - 1)));
    }
  }
  pieces.push_text(text);
  pieces.add(pieces.parser.finish(end));
  bytes.add(bytes.parser.finish(end));

  for (const Run* run : {&pieces, &bytes}) {
    BERYL_CHECK(run->raw == generated);
    BERYL_CHECK(run->content == run->parser.output().content);
    BERYL_CHECK(run->reasoning == run->parser.output().reasoning);
  }
  const auto& a = pieces.parser.output();
  const auto& b = bytes.parser.output();
  BERYL_CHECK(a.content == b.content && a.reasoning == b.reasoning && a.finish_reason == b.finish_reason);
  BERYL_CHECK(a.tool_calls.size() == b.tool_calls.size());
  for (size_t i = 0; i < a.tool_calls.size(); ++i) {
    BERYL_CHECK(a.tool_calls[i].name == b.tool_calls[i].name);
    BERYL_CHECK(a.tool_calls[i].arguments == b.tool_calls[i].arguments);
  }
  return 0;
}
