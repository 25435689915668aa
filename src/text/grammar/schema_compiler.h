// Turns one schema after the other into a rule. A schema inside of another is only referred to while that one
// is read, so schemas may nest as deep, and refer to each other, as they like.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/grammar/json_schema.h"
#include "text/grammar/schema_keywords.h"
#include "text/grammar/schema_merge.h"

namespace beryl::text::grammar {

class SchemaCompiler {
 public:
  // All borrowed for the life of the compiler. References in schemas are to `root`.
  SchemaCompiler(Grammar& grammar, const Schema& root, const SchemaOptions& options,
                 std::vector<std::string>* relaxed);

  // The values of the root. The grammar is complete afterwards.
  NodeId compile();

  Grammar& grammar() { return grammar_; }
  Spelling& spelling() { return spelling_; }

  // The values of a part of a schema: a rule, made now or before, that will be defined.
  NodeId values_of(const Schema& schema, std::string pointer);
  // The values that a schema may list under `enum` or `const`.
  NodeId listed(const Schema& values, std::string_view pointer);
  NodeId any_value();
  NodeId any_object();

 private:
  struct Work {
    RuleId rule = 0;
    Schema schema;
    std::string pointer;
  };

  NodeId compile_schema(const Schema& schema, const std::string& pointer);
  NodeId compile_alternatives(const Schema& schema, std::string_view keyword, const std::string& pointer);
  NodeId compile_listed(const Schema& schema, const std::string& pointer);
  NodeId compile_type(const std::string& type, const Schema& schema, const std::string& pointer);
  void check_exclusive(const Schema& branches, const std::string& pointer);
  MergeContext merge_context();
  const Schema& resolve(std::string_view reference, std::string_view pointer) const;
  void define_any_value();

  Grammar& grammar_;
  const Schema& root_;
  SchemaOptions options_;
  std::vector<std::string>* relaxed_;
  Spelling spelling_;
  std::unordered_map<std::string, RuleId> rules_;  // by the text of the schema: equal schemas are one
  std::deque<Work> work_;
  std::optional<RuleId> any_value_;
  std::optional<RuleId> any_object_;
};

// The values of one type; each in a file of its own.
NodeId compile_string(SchemaCompiler& compiler, const Schema& schema, std::string_view pointer);
// What stands between the quotes.
NodeId compile_string_content(SchemaCompiler& compiler, const Schema& schema, std::string_view pointer);
NodeId compile_number(SchemaCompiler& compiler, const Schema& schema, bool is_integer,
                      std::string_view pointer);
NodeId compile_array(SchemaCompiler& compiler, const Schema& schema, const std::string& pointer);
NodeId compile_object(SchemaCompiler& compiler, const Schema& schema, const std::string& pointer);

// Values in brackets: `min` to `max` times `item`.
NodeId array_of(SchemaCompiler& compiler, NodeId item, uint32_t min, uint32_t max);

}  // namespace beryl::text::grammar
