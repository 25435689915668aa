// Joins schemas that a value must all satisfy into one.
#pragma once

#include <functional>
#include <string_view>

#include "text/grammar/limits.h"
#include "text/grammar/schema_keywords.h"

namespace beryl::text::grammar {

// What merging needs to know of the whole schema, and what it may cost.
struct MergeContext {
  // What a `$ref` refers to.
  std::function<const Schema&(std::string_view reference, std::string_view pointer)> resolve;
  Budget& budget;
};

// `schema` without `allOf`, and without `$ref` beside other keywords: their parts are merged into the rest.
// Parts of parts (properties that two have, items) become an `allOf` of their own, for later.
// Errors: kUnsupported when keywords cannot be merged, kInvalidInput when there are too many or too large
// parts.
Schema flatten(const Schema& schema, std::string_view pointer, const MergeContext& context);

// Adds the keywords of `other` to `target`. The result is `false` when nothing can satisfy both.
void merge_into(Schema& target, const Schema& other, std::string_view pointer);

// Whether no value satisfies both: for sure, or perhaps not. References on the first level are followed.
// Errors: kInvalidInput when they are too large to be compared.
bool are_disjoint(const Schema& a, const Schema& b, std::string_view pointer, const MergeContext& context);

}  // namespace beryl::text::grammar
