#include "text/template/template.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "text/template/interpreter.h"
#include "text/template/json_value.h"
#include "text/template/parser.h"

namespace beryl::text {
namespace {

RenderedPrompt prompt_of(const MarkedTextBuilder& out) {
  RenderedPrompt prompt{out.text(), {}};
  size_t begin = 0;
  for (const MarkedTextBuilder::Stretch& stretch : out.stretches()) {
    if (stretch.origin == Origin::kTemplate) prompt.template_spans.push_back({begin, stretch.end});
    begin = stretch.end;
  }
  return prompt;
}

void set_variables(Interpreter& interpreter, const ParsedTemplate& parsed,
                   std::span<const TemplateVariable> variables, Runtime& runtime) {
  for (Symbol symbol = 0; symbol < parsed.symbol_names.size(); ++symbol) {
    for (const TemplateVariable& variable : variables) {
      if (variable.name != parsed.symbol_names[symbol]) continue;
      interpreter.set_variable(symbol, value_of_json(runtime.arena(), *variable.value, variable.origin));
    }
  }
}

}  // namespace

Template::Template(std::string_view source, std::string name)
    : parsed_(parse_template(source, std::move(name))) {}
Template::~Template() = default;
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;

const std::string& Template::name() const {
  return parsed_->name;
}

RenderedPrompt Template::render(std::span<const TemplateVariable> variables,
                                const RenderOptions& options) const {
  Runtime runtime(options.limits, options.now);
  MarkedTextBuilder out(runtime.arena(), options.limits.output_bytes_max);
  try {
    Interpreter interpreter(*parsed_, runtime);
    set_variables(interpreter, *parsed_, variables, runtime);
    interpreter.run(out);
  } catch (Error& error) {
    if (!runtime.is_raised_by_template) error.add_context(place_text(parsed_->name, runtime.position()));
    throw;
  }
  return prompt_of(out);
}

}  // namespace beryl::text
