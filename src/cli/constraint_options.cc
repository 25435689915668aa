#include "cli/constraint_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "engine/grammar_constraint.h"

namespace beryl::cli {
namespace {

using text::grammar::GrammarCache;
using text::grammar::GrammarLimits;
using text::grammar::OutputConstraint;

constexpr std::string_view kBlanks = " \t\r\n";

bool is_schema_text(std::string_view value) {
  const size_t begin = value.find_first_not_of(kBlanks);
  return begin != std::string_view::npos && value[begin] == '{';
}

bool is_grammar_text(std::string_view value) {
  return value.find("::=") != std::string_view::npos;
}

// Where a constraint comes from, for messages.
std::string source_of(const ConstraintOptions& options) {
  const auto name = [](std::string_view flag, const std::string& value, bool is_text) {
    return is_text ? std::string(flag) : fmt::format("{} '{}'", flag, value);
  };
  if (options.json_schema)
    return name("--json-schema", *options.json_schema, is_schema_text(*options.json_schema));
  if (options.grammar) return name("--grammar", *options.grammar, is_grammar_text(*options.grammar));
  return options.regex ? "--regex" : "--choices";
}

// The value itself, or the file that it names.
std::string read_value(const std::string& value, bool is_text, std::string_view remedy) {
  if (is_text) return value;
  try {
    return read_text_file(value, GrammarLimits().text_bytes_max);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    throw Error(error.code(), error.message(), std::string(remedy));
  }
}

}  // namespace

void add_constraint_options(CLI::App& command, ConstraintOptions& options) {
  const std::string group = "What an answer must be (at most one; begins after thinking)";
  command.add_option(
      "--json-schema", options.json_schema,
      "JSON that is valid for the schema in this file, or for this text when it begins with {");
  command
      .add_option("--choices", options.choices,
                  "One of these texts, with commas between them; may be repeated")
      ->delimiter(',')
      ->allow_extra_args(false);  // else it would take the prompt, too
  command.add_option("--regex", options.regex, "Text that this regular expression matches as a whole");
  command.add_option("--grammar", options.grammar,
                     "Text that follows the GBNF grammar in this file, or this text when it holds ::=");
  const std::vector<std::string> flags = constraint_flags();
  for (size_t i = 0; i < flags.size(); ++i) {
    CLI::Option* option = command.get_option(flags[i]);
    option->group(group);
    for (size_t other = 0; other < i; ++other) option->excludes(command.get_option(flags[other]));
  }
}

std::vector<std::string> constraint_flags() {
  return {"--json-schema", "--choices", "--regex", "--grammar"};
}

std::optional<OutputConstraint> read_constraint(const ConstraintOptions& options) {
  using namespace text::grammar;
  if (const auto& value = options.json_schema) {
    return JsonSchemaConstraint{
        read_value(*value, is_schema_text(*value), "give a file, or the schema itself, which begins with {")};
  }
  if (const auto& value = options.grammar) {
    return GbnfConstraint{read_value(*value, is_grammar_text(*value),
                                     "give a file, or the grammar itself, such as root ::= [0-9]+")};
  }
  if (options.regex) return RegexConstraint{*options.regex};
  if (!options.choices.empty()) return ChoiceConstraint{options.choices};
  return std::nullopt;
}

std::shared_ptr<text::grammar::CompiledGrammar> compile_constraint(const ConstraintOptions& options,
                                                                   const text::Tokenizer& tokenizer,
                                                                   const std::vector<int32_t>& end_tokens) {
  const std::optional<OutputConstraint> constraint = read_constraint(options);
  if (!constraint) return nullptr;
  GrammarCache cache(engine::make_output_vocabulary(tokenizer, end_tokens));
  return with_context(source_of(options), [&] { return cache.compile(*constraint); });
}

std::shared_ptr<text::grammar::CompiledGrammar> compile_tool_calls(
    const std::vector<nlohmann::ordered_json>& tools, const text::Tokenizer& tokenizer,
    const std::vector<int32_t>& end_tokens) {
  if (tools.empty()) return nullptr;
  try {
    GrammarCache cache(engine::make_output_vocabulary(tokenizer, end_tokens));
    return cache.compile(
        text::grammar::ToolCallConstraint{.tools = tools, .options = {.begins_inside_call = true}});
  } catch (const Error& error) {
    fmt::print(stderr, "warning: calls of tools do not follow a grammar: {}\n", error.message());
    return nullptr;
  }
}

void warn_cut_answer() {
  fmt::print(stderr,
             "warning: the answer came to its limit of tokens before it was complete; --max-tokens and "
             "--ctx make room for more\n");
}

}  // namespace beryl::cli
