// Flags that say what an answer must be: valid for a JSON schema, one of several texts, a match of a regular
// expression or of a grammar.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "text/grammar/compiled_grammar.h"
#include "text/grammar/grammar_cache.h"
#include "text/tokenizer.h"

namespace CLI {
class App;
}

namespace beryl::cli {

// At most one of them is given.
struct ConstraintOptions {
  std::optional<std::string> json_schema;  // a file, or the schema itself when it begins with {
  std::optional<std::string> grammar;      // a file in GBNF, or its text when it holds ::=
  std::optional<std::string> regex;
  std::vector<std::string> choices;
};

// The flags exclude each other.
void add_constraint_options(CLI::App& command, ConstraintOptions& options);

// The names of these flags, for those of others that exclude them.
std::vector<std::string> constraint_flags();

// What the flags ask for, with the files that they name read; nothing when none is given. Errors: as
// read_text_file().
std::optional<text::grammar::OutputConstraint> read_constraint(const ConstraintOptions& options);

// The same, ready for answers of a model; null when no flag is given. Errors: also those of
// GrammarCache::compile(), which name the flag, and of make_output_vocabulary().
std::shared_ptr<text::grammar::CompiledGrammar> compile_constraint(const ConstraintOptions& options,
                                                                   const text::Tokenizer& tokenizer,
                                                                   const std::vector<int32_t>& end_tokens);

// What calls of `tools` must follow behind the token that opens the first; null without tools, and, with a
// warning on standard error, when no grammar can be made of them: then calls are taken as they come.
std::shared_ptr<text::grammar::CompiledGrammar> compile_tool_calls(
    const std::vector<nlohmann::ordered_json>& tools, const text::Tokenizer& tokenizer,
    const std::vector<int32_t>& end_tokens);

// Tells standard error that an answer which had to follow a constraint came to its limit of tokens first.
void warn_cut_answer();

}  // namespace beryl::cli
