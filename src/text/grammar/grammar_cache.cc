#include "text/grammar/grammar_cache.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "text/grammar/choices.h"
#include "text/grammar/gbnf.h"
#include "text/grammar/json_schema.h"
#include "text/grammar/regex.h"

namespace beryl::text::grammar {
namespace {

// Different constraints have different keys: each starts with its kind, and lists are written as JSON.
struct KeyWriter {
  std::string operator()(const JsonSchemaConstraint& constraint) const {
    return "schema:" + constraint.schema;
  }
  std::string operator()(const JsonObjectConstraint&) const { return "object"; }
  std::string operator()(const RegexConstraint& constraint) const { return "regex:" + constraint.pattern; }
  std::string operator()(const GbnfConstraint& constraint) const { return "gbnf:" + constraint.text; }
  std::string operator()(const ChoiceConstraint& constraint) const {
    std::string key = "choices:";
    for (const std::string& choice : constraint.choices) key += fmt::format("{}:{}", choice.size(), choice);
    return key;
  }
  std::string operator()(const ToolCallConstraint& constraint) const {
    const ToolCallOptions& options = constraint.options;
    std::string key = fmt::format("tools:{}{}{}:{}:", options.begins_inside_call ? 'i' : 'o',
                                  options.allows_several ? 's' : '1',
                                  options.unsupported == Unsupported::kRelax ? 'r' : 'x', options.only_tool);
    // Requests are read as UTF-8; a tool made otherwise is only looked at for its key here.
    for (const Schema& tool : constraint.tools) {
      key += tool.dump(-1, ' ', false, Schema::error_handler_t::replace);
      key += '\n';
    }
    return key;
  }

  using Schema = nlohmann::ordered_json;
};

struct Source {
  Grammar& grammar;

  void operator()(const JsonSchemaConstraint& constraint) const {
    parse_json_schema_output(grammar, constraint.schema);
  }
  void operator()(const JsonObjectConstraint&) const { any_json_object_output(grammar); }
  void operator()(const RegexConstraint& constraint) const {
    parse_regex_output(grammar, constraint.pattern);
  }
  void operator()(const ChoiceConstraint& constraint) const { parse_choices(grammar, constraint.choices); }
  void operator()(const GbnfConstraint& constraint) const { parse_gbnf(grammar, constraint.text); }
  void operator()(const ToolCallConstraint& constraint) const {
    parse_tool_calls(grammar, constraint.tools, constraint.options);
  }
};

}  // namespace

GrammarCache::GrammarCache(OutputVocabulary vocabulary, const GrammarLimits& limits, size_t bytes_max)
    : vocabulary_(std::move(vocabulary)), limits_(limits), bytes_max_(bytes_max) {}

std::shared_ptr<CompiledGrammar> GrammarCache::compile(const OutputConstraint& constraint) {
  std::string key = std::visit(KeyWriter{}, constraint);
  if (std::shared_ptr<CompiledGrammar> known = find(key)) return known;
  Budget budget(limits_);
  Grammar grammar(budget);
  std::visit(Source{grammar}, constraint);
  return keep(std::move(key), std::make_shared<CompiledGrammar>(grammar, vocabulary_));
}

std::shared_ptr<CompiledGrammar> GrammarCache::find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return entries_.front().grammar;
}

std::shared_ptr<CompiledGrammar> GrammarCache::keep(std::string key,
                                                    std::shared_ptr<CompiledGrammar> grammar) {
  const std::lock_guard lock(mutex_);
  // Another thread may have been as quick.
  if (const auto found = by_key_.find(key); found != by_key_.end()) return found->second->grammar;
  entries_.push_front({key, std::move(grammar)});
  by_key_.emplace(std::move(key), entries_.begin());
  size_t bytes = 0;
  size_t count = 0;
  for (const Entry& entry : entries_) {
    bytes += 2 * entry.key.size() + entry.grammar->bytes();
    if (bytes > bytes_max_ && count > 0) break;
    ++count;
  }
  for (; entries_.size() > count; entries_.pop_back()) by_key_.erase(entries_.back().key);
  return entries_.front().grammar;
}

}  // namespace beryl::text::grammar
