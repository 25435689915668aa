// Compiles what requests ask for, once.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "text/grammar/compiled_grammar.h"
#include "text/grammar/tool_calls.h"

namespace beryl::text::grammar {

// What an output must be.
struct JsonSchemaConstraint {
  std::string schema;  // JSON text
};
struct JsonObjectConstraint {};
struct RegexConstraint {
  std::string pattern;
};
struct ChoiceConstraint {
  std::vector<std::string> choices;
};
struct GbnfConstraint {
  std::string text;
};
struct ToolCallConstraint {
  std::vector<nlohmann::ordered_json> tools;
  ToolCallOptions options = {};
};
using OutputConstraint = std::variant<JsonSchemaConstraint, JsonObjectConstraint, RegexConstraint,
                                      ChoiceConstraint, GbnfConstraint, ToolCallConstraint>;

// Any number of threads may use it.
class GrammarCache {
 public:
  // Keeps what was used last, up to about `bytes_max` (at least one grammar).
  explicit GrammarCache(OutputVocabulary vocabulary, const GrammarLimits& limits = {},
                        size_t bytes_max = size_t{128} << 20);

  // Equal constraints get the same grammar, with the masks that it has already. Takes up to
  // limits.compile_time_max, without blocking others. Errors: kInvalidInput and kUnsupported, naming what is
  // wrong in the constraint or which limit it exceeds.
  std::shared_ptr<CompiledGrammar> compile(const OutputConstraint& constraint);

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<CompiledGrammar> grammar;
  };

  std::shared_ptr<CompiledGrammar> find(const std::string& key);
  std::shared_ptr<CompiledGrammar> keep(std::string key, std::shared_ptr<CompiledGrammar> grammar);

  OutputVocabulary vocabulary_;
  GrammarLimits limits_;
  size_t bytes_max_;
  std::mutex mutex_;
  std::list<Entry> entries_;  // the one used last first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
};

}  // namespace beryl::text::grammar
