// template/: a bounded interpreter of the Jinja language that chat templates are written in.
//
// In:  a template's source and JSON variables, both untrusted.
// Out: text, and which of its bytes the template wrote itself.
// Must never know: conversations, tokens, models.
//
// Results are those of Python's jinja2 in the environment that Hugging Face renders chat templates in, with
// few exceptions, all errors here: integers beyond 64 bits, recursive loops, *arguments, and whatever loads
// other templates.
//
// Read first: this header, then marked_text.h (who wrote which character) and value.h; the steps are lexer.h,
// parser.h, interpreter.h; what templates can call is in filters.h, predicates.h, methods.h, globals.h.
#pragma once

#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "text/rendered_prompt.h"
#include "text/template/limits.h"
#include "text/template/marked_text.h"

namespace beryl::text {

struct ParsedTemplate;

// A variable that a template finds by `name`. All strings in it are of `origin`. It is borrowed for the
// render.
struct TemplateVariable {
  std::string_view name;
  const nlohmann::ordered_json* value = nullptr;
  Origin origin = Origin::kCaller;
};

struct RenderOptions {
  RenderLimits limits;
  std::tm now = {};  // what strftime_now() tells
};

// A template that was read once and is rendered many times, by several threads if need be.
class Template {
 public:
  // `name` stands for the template in errors, usually its file's name. Errors: kInvalidInput with
  // name:line:column.
  Template(std::string_view source, std::string name);
  ~Template();
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;

  const std::string& name() const;

  // Errors: kInvalidInput with name:line:column for what the template refuses or gets wrong (the message of
  // its raise_exception() comes as it is), kResource past a limit.
  RenderedPrompt render(std::span<const TemplateVariable> variables, const RenderOptions& options = {}) const;

 private:
  std::unique_ptr<const ParsedTemplate> parsed_;
};

}  // namespace beryl::text
