// How values compare, what is in them, and walking over them: Python's rules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "text/template/runtime.h"
#include "text/template/value.h"

namespace beryl::text {

// bool(value).
bool is_true(const Value& value);

// left == right; values of different types are unequal, except numbers.
bool equals(Runtime& runtime, const Value& left, const Value& right);

// Negative, zero or positive. Errors: kInvalidInput when the two have no order; `op` is how the template
// wrote it.
int order(Runtime& runtime, const Value& left, const Value& right, std::string_view op);

// item in container. Errors: kInvalidInput when `container` has no items.
bool contains(Runtime& runtime, const Value& container, const Value& item);

// Null when there is no such key.
const Value* find_in_map(Runtime& runtime, const Value& map, const Value& key);

// Adds the pair, or gives an entry of an equal key the new value. Errors: kInvalidInput when a list or map is
// the key.
void put_entry(Runtime& runtime, std::vector<Entry>& entries, const Value& key, const Value& value);

// What a for goes over: items, keys of a map, characters, numbers of a range; nothing for undefined. The span
// lives as long as the arena. Errors: kInvalidInput for values without items.
std::span<const Value> items_of(Runtime& runtime, const Value& value);

// The same for a loop, without spelling out a range.
Items loop_items_of(Runtime& runtime, const Value& value);

// Charges for a search of `needle_bytes` in `haystack_bytes`, which in the worst case takes their product.
void charge_search(Runtime& runtime, size_t haystack_bytes, size_t needle_bytes);

// len(value). Errors: kInvalidInput for values without a length.
int64_t length_of(Runtime& runtime, const Value& value);

}  // namespace beryl::text
