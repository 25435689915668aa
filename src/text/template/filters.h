// What may stand behind a bar: Jinja's filters, as Hugging Face sets them up (tojson without HTML escapes).
#pragma once

#include <span>
#include <string_view>

#include "text/template/runtime.h"
#include "text/template/value.h"

namespace beryl::text {

using FilterFunction = Value (*)(Runtime& runtime, const Value& input, const Arguments& arguments);

struct NamedFilter {
  std::string_view name;
  FilterFunction call;
};

// Null when there is no filter of that name.
FilterFunction find_filter(std::string_view name);

// The filters by what they work on; find_filter() looks through all of them.
std::span<const NamedFilter> text_filters();
std::span<const NamedFilter> number_filters();
std::span<const NamedFilter> list_filters();
std::span<const NamedFilter> selection_filters();

// item.attribute for every item; a dotted name goes further in. `fallback` stands for undefined results.
Value map_to_attribute(Runtime& runtime, std::span<const Value> items, const Value& attribute,
                       const Value& fallback);

// A list of (key, value) tuples.
Value make_pairs(Runtime& runtime, std::span<const Entry> entries);

}  // namespace beryl::text
