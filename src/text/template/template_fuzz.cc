// Any bytes as a template, with variables: an Error or a text, within bounds, the same text twice; and no
// character of the caller's is ever taken for the template's.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/error.h"
#include "text/template/template.h"

namespace {

using beryl::text::Origin;
using beryl::text::RenderedPrompt;
using beryl::text::RenderOptions;
using beryl::text::Span;
using beryl::text::Template;
using beryl::text::TemplateVariable;
using Json = nlohmann::ordered_json;

// Only the caller writes it, unless the template has it or an escape that may stand for it.
constexpr std::string_view kCallersMark = "\u00A7";

// Every variable of the reference snippets, with the mark in every string and key.
const Json& variables() {
  static const Json made = Json::parse(R"({
    "m": [{"role": "user", "content": "Hi §", "n": 1}, {"role": "assistant", "content": null, "n": 2}, {"role": "§"}],
    "d": {"b§": 1, "A§": 2, "a": 3, "C": {"x": null, "y": [1, "§'", "§\""]}, "z_1": true},
    "s": "  §,\tWörld§!\n", "e": "", "n": 5, "f": 2.5, "t": true, "l": [3, 1, 2], "w": "a§ b  §c\td", "x": "§y§",
    "messages": [{"role": "user", "content": "§"}], "tools": null, "add_generation_prompt": true})");
  return made;
}

RenderedPrompt render(const Template& parsed) {
  const Json bos = "<bos>";
  std::vector<TemplateVariable> all = {{"bos_token", &bos, Origin::kTemplate}};
  for (const auto& [name, value] : variables().items()) all.push_back({name, &value, Origin::kCaller});
  RenderOptions options;
  options.limits = {.steps_max = 20'000, .output_bytes_max = 1 << 20, .memory_bytes_max = 4 << 20};
  return parsed.render(all, options);
}

void check_spans(const RenderedPrompt& prompt, bool may_hold_mark) {
  size_t end = 0;
  for (const Span& span : prompt.template_spans) {
    BERYL_CHECK(span.begin < span.end && span.end <= prompt.text.size());
    BERYL_CHECK(span.begin > end || (end == 0 && span.begin == 0));
    end = span.end;
    const std::string_view part = std::string_view(prompt.text).substr(span.begin, span.end - span.begin);
    BERYL_CHECK(may_hold_mark || part.find(kCallersMark) == std::string_view::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  const bool may_hold_mark =
      source.find(kCallersMark) != std::string_view::npos || source.find('\\') != std::string_view::npos;
  try {
    const Template parsed(source, "fuzz");
    const RenderedPrompt first = render(parsed);
    check_spans(first, may_hold_mark);
    const RenderedPrompt second = render(parsed);
    BERYL_CHECK(first.text == second.text && first.template_spans == second.template_spans);
  } catch (const beryl::Error&) {
    // Refused, as most inputs are.
  }
  return 0;
}
